#include "characterize/program/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <tuple>

#include "base/checked.h"

namespace coracle::characterize {
namespace {

constexpr uint64_t kHeadersMax = 1 << 16;

// Encodings of .eh_frame_hdr, of which one is in use: a table of pairs (function, its unwind
// entry), each 4 signed bytes from the header's own address.
constexpr uint8_t kEncodingTable = 0x3b;  // DW_EH_PE_datarel | DW_EH_PE_sdata4
constexpr uint8_t kEncodingCount = 0x03;  // DW_EH_PE_udata4
constexpr size_t kUnwindHeaderBytes = 12;

}  // namespace

class ElfFile::Reader {
 public:
  explicit Reader(const std::string& path)
      : file_(std::fopen(path.c_str(), "re"), [](std::FILE* file) {
          if (file != nullptr) std::fclose(file);
        }) {}

  ElfFile Read() {
    ElfFile elf;
    const auto header = Table<Elf64_Ehdr>(0, 1);
    if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
        header[0].e_ident[EI_CLASS] != ELFCLASS64 || header[0].e_machine != EM_X86_64) {
      return elf;
    }
    elf.entry_ = header[0].e_entry;
    elf.relocatable_ = header[0].e_type == ET_DYN;
    for (const auto& segment : Table<Elf64_Phdr>(header[0].e_phoff, header[0].e_phnum)) {
      if (segment.p_type == PT_INTERP) elf.has_interpreter_ = true;
      if (segment.p_type == PT_GNU_EH_FRAME) ReadUnwindTable(segment, elf);
      if (segment.p_type == PT_LOAD) {
        elf.segments_.push_back({segment.p_offset, segment.p_filesz, segment.p_vaddr});
      }
    }
    const auto sections = Table<Elf64_Shdr>(header[0].e_shoff, header[0].e_shnum);
    for (const uint32_t type : {uint32_t{SHT_SYMTAB}, uint32_t{SHT_DYNSYM}}) {
      for (const auto& section : sections) {
        if (section.sh_type == type && elf.symbols_.empty()) ReadSymbols(section, sections, elf);
      }
    }
    return elf;
  }

 private:
  /// `count` entries at `offset`, or none.
  template <typename Entry>
  std::vector<Entry> Table(uint64_t offset, uint64_t count) const {
    const auto bytes = CheckedMul(count, sizeof(Entry));
    if (!bytes || *bytes == 0 || *bytes > kTableBytesMax || !Seek(offset)) return {};
    // A few at a time: what a header claims need not be there.
    std::vector<Entry> table;
    while (table.size() < count) {
      const size_t had = table.size();
      table.resize(had + std::min<uint64_t>(count - had, kHeadersMax));
      const size_t wanted = table.size() - had;
      if (std::fread(table.data() + had, sizeof(Entry), wanted, file_.get()) != wanted) return {};
    }
    return table;
  }

  bool Seek(uint64_t offset) const {
    return file_ != nullptr && offset <= INT64_MAX &&
           std::fseek(file_.get(), static_cast<int64_t>(offset), SEEK_SET) == 0;
  }

  void ReadUnwindTable(const Elf64_Phdr& segment, ElfFile& elf) const {
    const auto header = Table<uint8_t>(segment.p_offset, kUnwindHeaderBytes);
    if (header.empty() || header[0] != 1 || header[2] != kEncodingCount ||
        header[3] != kEncodingTable) {
      return;
    }
    uint32_t count = 0;
    std::memcpy(&count, &header[8], sizeof(count));
    struct Pair {
      int32_t function;
      int32_t entry;
    };
    for (const Pair& pair : Table<Pair>(segment.p_offset + kUnwindHeaderBytes, count)) {
      elf.starts_.push_back(segment.p_vaddr + static_cast<uint64_t>(int64_t{pair.function}));
    }
    std::sort(elf.starts_.begin(), elf.starts_.end());
  }

  void ReadSymbols(const Elf64_Shdr& section, const std::vector<Elf64_Shdr>& sections,
                   ElfFile& elf) const {
    if (section.sh_entsize != sizeof(Elf64_Sym) || section.sh_link >= sections.size()) return;
    const Elf64_Shdr& names = sections[section.sh_link];
    auto symbols = Table<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    const auto text = Table<char>(names.sh_offset, names.sh_size);
    if (text.empty() || text.back() != 0) return;
    elf.names_.assign(text.begin(), text.end());
    std::erase_if(symbols, [&elf](const Elf64_Sym& symbol) {
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      return (type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF ||
             symbol.st_name == 0 || symbol.st_name >= elf.names_.size();
    });
    // Of several names for one place: the one that others call it by.
    const auto rank = [&elf](const Elf64_Sym& symbol) {
      const std::string_view name = elf.names_.c_str() + symbol.st_name;
      return std::tuple(symbol.st_value, ELF64_ST_BIND(symbol.st_info) == STB_LOCAL,
                        symbol.st_size == 0, name.substr(0, 2) == "__", name.size(), name);
    };
    std::sort(symbols.begin(), symbols.end(),
              [&rank](const Elf64_Sym& a, const Elf64_Sym& b) { return rank(a) < rank(b); });
    for (const Elf64_Sym& symbol : symbols) {
      const uint64_t begin = symbol.st_value;
      if (!elf.symbols_.empty() && elf.symbols_.back().begin == begin) continue;
      // Hand-written code has no size: it reaches to the next symbol.
      if (!elf.symbols_.empty() && elf.symbols_.back().end == 0) elf.symbols_.back().end = begin;
      const uint64_t end = symbol.st_size == 0 ? 0 : begin + symbol.st_size;
      elf.symbols_.push_back({begin, end, symbol.st_name});
    }
  }

  std::unique_ptr<std::FILE, void (*)(std::FILE*)> file_;
};

ElfFile ElfFile::Read(const std::string& path) { return Reader(path).Read(); }

std::optional<ElfFile::Function> ElfFile::Find(uint64_t offset) const {
  const auto segment = std::find_if(segments_.begin(), segments_.end(), [offset](const Segment& s) {
    return offset >= s.offset && offset - s.offset < s.bytes;
  });
  if (segment == segments_.end()) return std::nullopt;
  const uint64_t address = offset - segment->offset + segment->address;
  const auto symbol = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                       [](uint64_t at, const Symbol& s) { return at < s.begin; });
  if (symbol != symbols_.begin() && address < std::prev(symbol)->end) {
    return Function{std::prev(symbol)->begin, names_.c_str() + std::prev(symbol)->name};
  }
  const auto start = std::upper_bound(starts_.begin(), starts_.end(), address);
  if (start != starts_.begin()) return Function{*std::prev(start), {}};
  return Function{address / kPieceBytes * kPieceBytes, {}};
}

}  // namespace coracle::characterize

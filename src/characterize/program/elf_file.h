// ElfFile: the functions of a program or library, as its file says where they lie.
//
// Named ones come from .symtab, or from .dynsym where the file was stripped of that. Of code that
// no symbol covers, the unwind table (.eh_frame_hdr) still says where functions begin; where there
// is none either, code is told apart by pieces of kPieceBytes.
// The file is the traced program's: nothing in it is trusted, what makes no sense is left out.
// Sources: System V ABI, ELF; Linux Standard Base Core 5.0, section 10.6.2 (.eh_frame_hdr).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coracle::characterize {

class ElfFile {
 public:
  static constexpr uint64_t kPieceBytes = 64 << 10;
  /// A table of symbols or of names that is larger is not read.
  static constexpr uint64_t kTableBytesMax = uint64_t{512} << 20;

  /// A file that cannot be read, or is none of ELF for x86-64, has no functions.
  static ElfFile Read(const std::string& path);

  struct Function {
    uint64_t begin = 0;  ///< address in the file's own terms (from which addresses are counted)
    std::string name;    ///< of the symbol, mangled; empty: none covers it
  };
  /// What holds the byte at `offset` of the file; nothing if it is not loaded from there.
  std::optional<Function> Find(uint64_t offset) const;

  /// The first instruction's address, in the file's own terms.
  uint64_t entry() const { return entry_; }
  /// It is loaded at any address: its own terms count from there.
  bool relocatable() const { return relocatable_; }
  /// It names a loader; a program that does not is statically linked.
  bool has_interpreter() const { return has_interpreter_; }

 private:
  struct Segment {
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t address = 0;
  };
  struct Symbol {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint32_t name = 0;  ///< in names_
  };
  class Reader;

  std::vector<Segment> segments_;
  std::vector<Symbol> symbols_;   ///< by begin, one for each
  std::vector<uint64_t> starts_;  ///< of functions, from the unwind table
  std::string names_;
  uint64_t entry_ = 0;
  bool relocatable_ = false;
  bool has_interpreter_ = false;
};

}  // namespace coracle::characterize

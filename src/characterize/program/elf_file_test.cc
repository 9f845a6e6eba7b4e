#include "characterize/program/elf_file.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>

namespace coracle::characterize {
namespace {

/// A file with two functions that have symbols, one of them without a size, and one that only the
/// unwind table knows.
struct SmallElf {
  static constexpr uint64_t kAddress = 0x401000;

  struct Unwind {
    uint8_t encodings[4] = {1, 0x1b, 0x03, 0x3b};
    int32_t frame = 0;
    uint32_t count = 1;
    int32_t function = 0;
    int32_t entry = 0;
  };

  Elf64_Ehdr header{};
  Elf64_Phdr segments[3] = {};
  Elf64_Shdr sections[2] = {};
  Elf64_Sym symbols[4] = {};
  char names[16] = "\0sized\0bare";
  Unwind unwind;

  SmallElf() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_machine = EM_X86_64;
    header.e_type = ET_DYN;
    header.e_entry = kAddress;
    header.e_phoff = offsetof(SmallElf, segments);
    header.e_phnum = 3;
    header.e_shoff = offsetof(SmallElf, sections);
    header.e_shnum = 2;
    segments[0].p_type = PT_LOAD;
    segments[0].p_offset = 0x1000;
    segments[0].p_filesz = 0x1000;
    segments[0].p_vaddr = kAddress;
    segments[1].p_type = PT_GNU_EH_FRAME;
    segments[1].p_offset = offsetof(SmallElf, unwind);
    segments[1].p_vaddr = 0x400000;
    segments[2].p_type = PT_INTERP;
    sections[0].sh_type = SHT_DYNSYM;
    sections[0].sh_offset = offsetof(SmallElf, symbols);
    sections[0].sh_size = sizeof(symbols);
    sections[0].sh_entsize = sizeof(Elf64_Sym);
    sections[0].sh_link = 1;
    sections[1].sh_type = SHT_STRTAB;
    sections[1].sh_offset = offsetof(SmallElf, names);
    sections[1].sh_size = sizeof(names);
    const auto function = [](uint32_t name, uint64_t address, uint64_t bytes) {
      Elf64_Sym symbol{};
      symbol.st_name = name;
      symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
      symbol.st_shndx = 1;
      symbol.st_value = address;
      symbol.st_size = bytes;
      return symbol;
    };
    symbols[1] = function(7, kAddress + 0x100, 0);
    symbols[2] = function(1, kAddress + 0x200, 0x10);
    symbols[3] = function(1, kAddress + 0x100, 0);  // the same place, a longer name
    unwind.function = static_cast<int32_t>(kAddress + 0x300 - segments[1].p_vaddr);
  }
};

class ElfFileTest : public testing::Test {
 protected:
  ElfFileTest() : path_(testing::TempDir() + "/elf-XXXXXX") { ::close(::mkstemp(path_.data())); }
  ~ElfFileTest() override { ::unlink(path_.c_str()); }

  ElfFile Read(const void* bytes, size_t count) const {
    std::FILE* const file = std::fopen(path_.c_str(), "we");
    std::fwrite(bytes, 1, count, file);
    std::fclose(file);
    return ElfFile::Read(path_);
  }

 private:
  std::string path_;
};

std::string NameAt(const ElfFile& elf, uint64_t offset) {
  const auto function = elf.Find(offset);
  return function ? function->name : "nothing";
}

TEST_F(ElfFileTest, NamesTheFunctionThatABytesLiesIn) {
  const SmallElf small;
  const ElfFile elf = Read(&small, sizeof(small));
  EXPECT_EQ(elf.entry(), SmallElf::kAddress);
  EXPECT_TRUE(elf.relocatable());
  EXPECT_TRUE(elf.has_interpreter());
  EXPECT_EQ(NameAt(elf, 0xfff), "nothing");
  EXPECT_EQ(NameAt(elf, 0x2000), "nothing");
  EXPECT_EQ(NameAt(elf, 0x1100), "bare");
  EXPECT_EQ(NameAt(elf, 0x11ff), "bare");
  EXPECT_EQ(NameAt(elf, 0x1200), "sized");
  EXPECT_EQ(NameAt(elf, 0x120f), "sized");
  EXPECT_EQ(elf.Find(0x120f)->begin, SmallElf::kAddress + 0x200);
}

TEST_F(ElfFileTest, TellsCodeWithoutSymbolsApart) {
  const SmallElf small;
  const ElfFile elf = Read(&small, sizeof(small));
  EXPECT_EQ(NameAt(elf, 0x1210), "");
  // Before the unwind table's first: by pieces.
  EXPECT_EQ(elf.Find(0x1210)->begin, 0x400000u);
  EXPECT_EQ(NameAt(elf, 0x1340), "");
  EXPECT_EQ(elf.Find(0x1340)->begin, SmallElf::kAddress + 0x300);
}

TEST_F(ElfFileTest, FilesThatMakeNoSenseHaveNoFunctions) {
  EXPECT_FALSE(ElfFile::Read("/nowhere/at/all").Find(0));
  EXPECT_FALSE(ElfFile::Read("/").Find(0));
  const SmallElf small;
  for (size_t bytes = 0; bytes < offsetof(SmallElf, unwind); ++bytes) {
    const ElfFile elf = Read(&small, bytes);
    EXPECT_THAT(NameAt(elf, 0x1100), testing::AnyOf("nothing", "")) << bytes;
  }
  SmallElf other;
  other.header.e_machine = EM_AARCH64;
  EXPECT_FALSE(Read(&other, sizeof(other)).Find(0x1100));
}

TEST_F(ElfFileTest, SurvivesAnyChange) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    SmallElf small;
    auto* const bytes = reinterpret_cast<uint8_t*>(&small);
    for (int change = 0; change < 3; ++change) {
      bytes[SELFMAG + 1 + random() % (sizeof(small) - SELFMAG - 1)] =
          static_cast<uint8_t>(random());
    }
    const ElfFile elf = Read(&small, sizeof(small));
    for (uint64_t offset = 0; offset < 0x3000; offset += 0x80) (void)elf.Find(offset);
  }
}

}  // namespace
}  // namespace coracle::characterize

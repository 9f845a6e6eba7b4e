#include "characterize/program/target_program.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

namespace coracle::characterize {
namespace {

class Folder {
 public:
  Folder() : path_(testing::TempDir() + "/programs-XXXXXX") { (void)mkdtemp(path_.data()); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0755) const {
    const std::string path = path_ + "/" + name;
    std::FILE* const file = std::fopen(path.c_str(), "we");
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
    ::chmod(path.c_str(), mode);
    return path;
  }

 private:
  std::string path_;
};

std::string ElfFile(uint16_t machine, uint16_t type) {
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = machine;
  header.e_type = type;
  return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

std::string Complaint(const std::string& path) {
  const Status status = CheckProgram(path);
  return status.ok() ? "" : status.error().message;
}

TEST(CheckProgram, SaysWhatItIsInstead) {
  const Folder folder;
  EXPECT_EQ(Complaint(folder.Write("good", ElfFile(EM_X86_64, ET_DYN))), "");
  EXPECT_THAT(Complaint(folder.Write("arm", ElfFile(EM_AARCH64, ET_EXEC))),
              testing::HasSubstr("64-bit ARM"));
  EXPECT_THAT(Complaint(folder.Write("object", ElfFile(EM_X86_64, ET_REL))),
              testing::HasSubstr("not a program"));
  EXPECT_THAT(Complaint(folder.Write("script", "#! /bin/sh\necho\n")),
              testing::HasSubstr("characterize -- /bin/sh "));
  EXPECT_THAT(Complaint(folder.Write("text", "hello")), testing::HasSubstr("no ELF"));
  EXPECT_THAT(Complaint(folder.Write("empty", "")), testing::HasSubstr("no ELF"));
  EXPECT_THAT(Complaint(folder.Write("data", ElfFile(EM_X86_64, ET_DYN), 0644)),
              testing::HasSubstr("may not be executed"));
  EXPECT_THAT(Complaint("/"), testing::HasSubstr("not a file"));
  EXPECT_THAT(Complaint("/nowhere/at/all"), testing::HasSubstr("No such file"));
}

TEST(FindProgram, LooksWhereAShellWould) {
  const auto found = FindProgram("sh");
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(CheckProgram(*found).ok());
  EXPECT_EQ(*FindProgram("./sh"), "./sh");
  EXPECT_FALSE(FindProgram("no-such-program-anywhere").ok());
}

}  // namespace
}  // namespace coracle::characterize

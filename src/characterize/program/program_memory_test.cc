#include "characterize/program/program_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace coracle::characterize {
namespace {

/// Two pages, of which the second is not there.
class ProgramMemoryTest : public testing::Test {
 protected:
  ProgramMemoryTest()
      : page_(static_cast<char*>(
            ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    ::munmap(page_ + 4096, 4096);
    char probe = 0;
    *page_ = 'x';
    readable_ = CopyFromProgram(Address(0), &probe, 1) == 1;
  }
  ~ProgramMemoryTest() override { ::munmap(page_, 4096); }
  void SetUp() override {
    if (!readable_) GTEST_SKIP() << "process_vm_readv is not allowed here";
  }
  uint64_t Address(size_t offset) const { return reinterpret_cast<uintptr_t>(page_) + offset; }

  char* page_;
  bool readable_ = false;
};

TEST_F(ProgramMemoryTest, CopiesWhatIsThere) {
  std::memcpy(page_ + 4092, "abcd", 4);
  char copy[8] = {};
  EXPECT_EQ(CopyFromProgram(Address(4092), copy, 4), 4u);
  EXPECT_STREQ(copy, "abcd");
  EXPECT_EQ(CopyFromProgram(Address(4096), copy, 4), 0u);
  EXPECT_EQ(CopyFromProgram(16, copy, 4), 0u);
}

TEST_F(ProgramMemoryTest, TextEndsWhereItCan) {
  std::strcpy(page_ + 10, "name");
  EXPECT_EQ(TextFromProgram(Address(10), 255), "name");
  EXPECT_EQ(TextFromProgram(Address(10), 2), "na");
  std::memcpy(page_ + 4093, "end", 3);
  EXPECT_EQ(TextFromProgram(Address(4093), 255), "end");
  EXPECT_EQ(TextFromProgram(Address(4096), 255), "");
  EXPECT_EQ(TextFromProgram(0, 255), "");
}

}  // namespace
}  // namespace coracle::characterize

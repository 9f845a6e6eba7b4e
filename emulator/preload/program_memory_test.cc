#include "emulator/preload/program_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace coracle::epc {
namespace {

TEST(ProgramMemory, ReadsAndWritesWhatIsThere) {
  uint64_t there = 7;
  uint64_t value = 0;
  EXPECT_TRUE(PeekValue(reinterpret_cast<uintptr_t>(&there), value));
  EXPECT_EQ(value, 7U);
  value = 8;
  EXPECT_TRUE(PokeValue(reinterpret_cast<uintptr_t>(&there), value));
  EXPECT_EQ(there, 8U);
  EXPECT_TRUE(PeekProgram(8, {}));
}

TEST(ProgramMemory, RefusesWrongAddresses) {
  uint64_t value = 1;
  for (const uintptr_t address : {uintptr_t{0}, uintptr_t{8}, ~uintptr_t{15}}) {
    EXPECT_FALSE(PeekValue(address, value));
    EXPECT_FALSE(PokeValue(address, value));
  }
  void* const closed = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_FALSE(PeekValue(reinterpret_cast<uintptr_t>(closed), value));
  EXPECT_EQ(value, 1U);
  munmap(closed, 4096);
}

}  // namespace
}  // namespace coracle::epc

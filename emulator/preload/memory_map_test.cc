#include "emulator/preload/memory_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace coracle::epc {
namespace {

/// The region that `address` is in; `found` says whether there is one.
MappedRegion RegionOf(const void* address, bool& found) {
  MemoryMap map;
  MappedRegion region;
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (found = false; map.Next(region);) {
    found = region.range.begin <= at && at < region.range.end;
    if (found) break;
  }
  // The name lies in the map's own memory.
  region.name = region.name == "[stack]" ? "[stack]" : "";
  return region;
}

TEST(MemoryMap, KnowsTheStack) {
  const int local = 0;
  bool found = false;
  const MappedRegion region = RegionOf(&local, found);
  ASSERT_TRUE(found);
  EXPECT_TRUE(region.is_stack());
  EXPECT_TRUE(region.is_anonymous());
  EXPECT_EQ(region.protection & (PROT_READ | PROT_WRITE), PROT_READ | PROT_WRITE);
}

TEST(MemoryMap, KnowsCode) {
  bool found = false;
  const MappedRegion region = RegionOf(reinterpret_cast<const void*>(&RegionOf), found);
  ASSERT_TRUE(found);
  EXPECT_TRUE(region.of_file);
  EXPECT_FALSE(region.is_anonymous());
  EXPECT_EQ(region.protection, PROT_READ | PROT_EXEC);
}

TEST(MemoryMap, KnowsAnonymousAndSharedMemory) {
  for (const int kind : {MAP_PRIVATE, MAP_SHARED}) {
    void* const memory = mmap(nullptr, 3 * kPageBytes, PROT_NONE, kind | MAP_ANONYMOUS, -1, 0);
    bool found = false;
    const MappedRegion region = RegionOf(memory, found);
    ASSERT_TRUE(found);
    EXPECT_EQ(region.shared, kind == MAP_SHARED);
    EXPECT_EQ(region.is_anonymous(), kind == MAP_PRIVATE);
    EXPECT_EQ(region.protection, PROT_NONE);
    munmap(memory, 3 * kPageBytes);
  }
}

TEST(MemoryMap, IsInOrderAndWithoutItself) {
  MemoryMap map;
  ASSERT_TRUE(map.ok());
  MappedRegion region;
  uintptr_t last = 0;
  int count = 0;
  for (; map.Next(region); ++count) {
    EXPECT_LT(region.range.begin, region.range.end);
    EXPECT_GE(region.range.begin, last);
    last = region.range.end;
  }
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace coracle::epc

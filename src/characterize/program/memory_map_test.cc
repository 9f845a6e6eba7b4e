#include "characterize/program/memory_map.h"

#include <gtest/gtest.h>

#include <random>

namespace coracle::characterize {
namespace {

constexpr uint64_t kPage = 4096;

Mapping Anonymous(uint64_t begin, uint64_t bytes) {
  return {MemoryKind::kAnonymous, true, begin, bytes, "", false};
}

TEST(MemoryMap, EqualsAnArrayOfPages) {
  constexpr uint64_t kPages = 200;
  MemoryMap map;
  std::vector<uint32_t> plain(kPages * 2, UINT32_MAX);
  std::mt19937_64 random(5);
  for (int step = 0; step < 5000; ++step) {
    const uint64_t begin = random() % kPages;
    const uint64_t count = random() % 40 + 1;
    const uint64_t to = random() % kPages;
    const uint64_t what = random() % 4;
    if (what == 0) {
      map.Remove(begin * kPage, (begin + count) * kPage);
      for (uint64_t i = begin; i < begin + count; ++i) plain[i] = UINT32_MAX;
    } else if (what == 1 && (to >= begin + count || begin >= to + count)) {
      map.Move(begin * kPage, count * kPage, to * kPage, count * kPage);
      for (uint64_t i = 0; i < count; ++i) {
        plain[to + i] = std::exchange(plain[begin + i], UINT32_MAX);
      }
    } else {
      map.Add(Anonymous(begin * kPage, count * kPage));
      const auto number = static_cast<uint32_t>(map.mappings().size() - 1);
      for (uint64_t i = begin; i < begin + count; ++i) plain[i] = number;
    }
    for (uint64_t i = 0; i < plain.size(); ++i) {
      const MemoryMap::Piece* piece = map.Find(i * kPage + 17);
      const size_t found = piece == nullptr ? UINT32_MAX : Position(piece->mapping);
      ASSERT_EQ(found, plain[i]) << "step " << step << " page " << i;
    }
  }
}

TEST(MemoryMap, MovingMayEnlargeAndCut) {
  MemoryMap map;
  map.Add(Anonymous(0x10000, 2 * kPage));
  map.Move(0x10000, 2 * kPage, 0x40000, 8 * kPage);
  EXPECT_EQ(map.Find(0x10000), nullptr);
  ASSERT_NE(map.Find(0x40000 + 8 * kPage - 1), nullptr);
  EXPECT_EQ(map.mapping(map.Find(0x40000)->mapping).bytes, 8 * kPage);
  map.Move(0x40000, 8 * kPage, 0x40000, kPage);
  EXPECT_NE(map.Find(0x40000), nullptr);
  EXPECT_EQ(map.Find(0x40000 + kPage), nullptr);
}

TEST(MemoryMap, TheHeapGrowsAndShrinks) {
  MemoryMap map;
  map.SetBreak(0x5000);
  EXPECT_EQ(map.Find(0x5000), nullptr);
  map.SetBreak(0x9000);
  map.SetBreak(0x8000);
  EXPECT_EQ(map.Find(0x8000), nullptr);
  map.SetBreak(0xc000);
  ASSERT_NE(map.Find(0x5000), nullptr);
  ASSERT_NE(map.Find(0xbfff), nullptr);
  EXPECT_EQ(map.Find(0x5000)->mapping, map.Find(0xbfff)->mapping);
  const Mapping& heap = map.mapping(map.Find(0x5000)->mapping);
  EXPECT_EQ(heap.kind, MemoryKind::kHeap);
  EXPECT_EQ(heap.bytes, 0x7000u);
}

TEST(ParseProcMaps, TellsDataFromCodeFromStacks) {
  const std::vector<Mapping> mappings = ParseProcMaps(
      "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/with a space\n"
      "00651000-00652000 rw-p 00051000 08:02 173521      /usr/bin/with a space\n"
      "00652000-00655000 rw-p 00000000 00:00 0 \n"
      "nonsense\n"
      "7f0000000000-7f0000010000 rw-s 00000000 00:05 7   /dev/shm/x\n"
      "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0   [stack]");
  ASSERT_EQ(mappings.size(), 5u);
  EXPECT_EQ(mappings[0].kind, MemoryKind::kFile);
  EXPECT_EQ(mappings[0].name, "/usr/bin/with a space");
  EXPECT_EQ(mappings[1].kind, MemoryKind::kProgramData);
  EXPECT_FALSE(mappings[1].anonymous);
  EXPECT_EQ(mappings[2].kind, MemoryKind::kProgramData);
  EXPECT_TRUE(mappings[2].anonymous);
  EXPECT_EQ(mappings[2].bytes, 0x3000u);
  EXPECT_EQ(mappings[3].kind, MemoryKind::kShared);
  EXPECT_EQ(mappings[4].kind, MemoryKind::kStack);
}

}  // namespace
}  // namespace coracle::characterize

#include "characterize/analysis/region_map.h"

#include <gtest/gtest.h>

#include <random>

#include "characterize/program/access_run.h"

namespace coracle::characterize {
namespace {

TEST(RegionMap, EqualsASearchOfAllRegions) {
  std::mt19937_64 random(1);
  constexpr uint64_t kLines = 400;
  for (int turn = 0; turn < 200; ++turn) {
    // They overlap now and then: who begins first has the line.
    std::vector<Region> regions;
    for (uint64_t left = random() % 12; left > 0; --left) {
      regions.push_back({random() % (kLines * kLineBytes), random() % 2000,
                         static_cast<MemoryKind>(random() % kMemoryKindCount)});
    }
    RegionMap map;
    map.Set(regions);
    std::stable_sort(regions.begin(), regions.end(),
                     [](const Region& a, const Region& b) { return a.begin < b.begin; });
    for (uint64_t line = 0; line < kLines; ++line) {
      const Region* expected = nullptr;
      for (const Region& region : regions) {
        if (expected != nullptr || region.bytes == 0) continue;
        const bool has = region.begin / kLineBytes <= line &&
                         line <= (region.begin + region.bytes - 1) / kLineBytes;
        if (has) expected = &region;
      }
      const RegionMap::Stretch stretch = map.Find(line);
      ASSERT_EQ(stretch.named, expected != nullptr) << line;
      ASSERT_EQ(stretch.kind, expected == nullptr ? MemoryKind::kUnknown : expected->kind) << line;
      ASSERT_LE(stretch.first, line);
      ASSERT_LT(line - stretch.first, stretch.count);
      // All of a stretch is one.
      ASSERT_EQ(map.Find(stretch.first).first, stretch.first);
      ASSERT_EQ(map.Find(stretch.first + stretch.count - 1).first, stretch.first);
    }
  }
}

TEST(RegionMap, TakesWhateverItIsTold) {
  RegionMap map;
  EXPECT_TRUE(map.empty());
  EXPECT_FALSE(map.Find(5).named);
  map.Set({{UINT64_MAX - 10, 100, MemoryKind::kWeights}, {64, 0, MemoryKind::kWeights}});
  EXPECT_TRUE(map.Find(UINT64_MAX >> kLineShift).named);
  EXPECT_FALSE(map.Find(1).named);
  map.Set({});
  EXPECT_TRUE(map.empty());
}

}  // namespace
}  // namespace coracle::characterize

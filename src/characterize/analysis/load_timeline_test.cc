#include "characterize/analysis/load_timeline.h"

#include <gtest/gtest.h>

#include <random>

#include "characterize/reuse/working_set.h"

namespace coracle::characterize {
namespace {

TEST(LoadTimeline, EqualsAListOfLoadsAtEveryLength) {
  std::mt19937_64 random(1);
  LoadTimeline timeline;
  std::vector<std::pair<uint64_t, uint32_t>> loads;
  uint64_t now = 0;
  size_t finest = 0;
  for (const uint64_t step_max : {100u, 10'000u, 1'000'000u}) {
    for (int i = 0; i < 4000; ++i) {
      now += random() % step_max;
      const auto memories = static_cast<uint32_t>(random() % 8);
      timeline.Add(memories, now);
      loads.emplace_back(now, memories);
    }
    while (now >> WorkingSet::kShifts[finest] >= WorkingSet::kWindowsMax) ++finest;
    for (size_t length = finest; length < WorkingSet::kShifts.size(); ++length) {
      const uint32_t shift = WorkingSet::kShifts[length];
      for (size_t memory = 0; memory < 3; ++memory) {
        std::vector<uint64_t> expected(timeline.Windows(memory, shift).size(), 0);
        for (const auto& [at, memories] : loads) expected.at(at >> shift) += memories >> memory & 1;
        EXPECT_EQ(timeline.Windows(memory, shift), expected);
      }
    }
  }
  EXPECT_GT(finest, 1u);
}

}  // namespace
}  // namespace coracle::characterize

#include "emulator/pager/range_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <random>

namespace coracle::epc {
namespace {

constexpr uint64_t kPages = 200;

/// The same by page: slow and clear.
class RangeTableTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(table_.Init()); }
  void TearDown() override { table_.Free(); }

  Range At(uint64_t first, uint64_t count) {
    return {first * kPageBytes, (first + count) * kPageBytes};
  }

  void Check() {
    uint64_t paged_bytes = 0;
    for (uint64_t page = 0; page < kPages; ++page) {
      const Mapping* found = table_.Find(page * kPageBytes + 5);
      const auto expected = model_.find(page);
      ASSERT_EQ(found != nullptr, expected != model_.end()) << page;
      if (found == nullptr) continue;
      ASSERT_EQ(found->protection, expected->second.protection) << page;
      ASSERT_EQ(found->kind, expected->second.kind) << page;
      ASSERT_EQ(found->wiped_on_fork, expected->second.wiped_on_fork) << page;
      if (found->kind == Kind::kPaged) paged_bytes += kPageBytes;
    }
    ASSERT_EQ(table_.bytes_of(Kind::kPaged), paged_bytes);
    // Sorted, apart, and no two neighbours that could be one.
    const Mapping* last = nullptr;
    for (const Mapping* at = table_.FirstEndingPast(0); at != nullptr && at != table_.end(); ++at) {
      ASSERT_LT(at->begin, at->end);
      if (last != nullptr) {
        ASSERT_LE(last->end, at->begin);
        ASSERT_FALSE(last->end == at->begin && last->IsLike(*at));
      }
      last = at;
    }
  }

  RangeTable table_;
  std::map<uint64_t, Mapping> model_;
};

TEST_F(RangeTableTest, AgreesWithAModelByPage) {
  std::mt19937_64 random(11);
  for (uint32_t step = 0; step < 4000; ++step) {
    const uint64_t first = random() % (kPages - 1);
    const uint64_t count = 1 + random() % std::min<uint64_t>(20, kPages - first);
    const Range range = At(first, count);
    switch (random() % 4) {
      case 0: {
        Mapping mapping{.begin = range.begin, .end = range.end};
        mapping.protection = static_cast<int>(random() % 3);
        mapping.kind = random() % 4 == 0 ? Kind::kOutside : Kind::kPaged;
        table_.Add(mapping);
        for (uint64_t i = 0; i < count; ++i) model_[first + i] = mapping;
        break;
      }
      case 1:
        table_.Erase(range);
        for (uint64_t i = 0; i < count; ++i) model_.erase(first + i);
        break;
      case 2: {
        const bool wiped = random() % 2 == 0;
        table_.Update(range, [wiped](Mapping& mapping) { mapping.wiped_on_fork = wiped; });
        for (uint64_t i = 0; i < count; ++i) {
          if (model_.contains(first + i)) model_[first + i].wiped_on_fork = wiped;
        }
        break;
      }
      default: {
        const uint64_t to = random() % (kPages - count + 1);
        if (to < first + count && first < to + count) break;
        table_.CopyTo(range.begin, count * kPageBytes, to * kPageBytes);
        for (uint64_t i = 0; i < count; ++i) {
          model_.erase(to + i);
          if (model_.contains(first + i)) model_[to + i] = model_[first + i];
        }
      }
    }
    ASSERT_NO_FATAL_FAILURE(Check()) << "step " << step;
  }
}

TEST_F(RangeTableTest, AStackGrowsDown) {
  Mapping stack{.begin = 100 * kPageBytes, .end = 110 * kPageBytes};
  stack.grows_down = true;
  table_.Add(stack);
  table_.GrowDown(100 * kPageBytes, 90 * kPageBytes);
  ASSERT_NE(table_.Find(95 * kPageBytes), nullptr);
  EXPECT_EQ(table_.bytes_of(Kind::kPaged), 20 * kPageBytes);
  // What is left above a cut does not grow into it.
  table_.Erase({90 * kPageBytes, 95 * kPageBytes});
  EXPECT_FALSE(table_.Find(96 * kPageBytes)->grows_down);
}

}  // namespace
}  // namespace coracle::epc

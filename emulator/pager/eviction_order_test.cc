#include "emulator/pager/eviction_order.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace coracle::epc {
namespace {

constexpr uint64_t kLimit = 8;  // at most 4 are proven

class EvictionOrderTest : public ::testing::Test {
 protected:
  void Fresh(uint32_t page) { order_.AddFresh(pages_[page]); }
  void Loaded(uint32_t page, uint64_t distance) {
    order_.AddLoaded(pages_[page], distance, kLimit);
  }
  std::vector<uint32_t> TakeAll() {
    std::vector<uint32_t> taken;
    while (PageRecord* next = order_.next()) {
      taken.push_back(static_cast<uint32_t>(next - pages_.data()));
      order_.Remove(*next);
      EXPECT_FALSE(next->queued);
    }
    return taken;
  }

  std::array<PageRecord, 16> pages_{};
  EvictionOrder order_;
};

using Pages = std::vector<uint32_t>;

TEST_F(EvictionOrderTest, FirstInFirstOut) {
  for (const uint32_t page : {3u, 1u, 2u}) Fresh(page);
  Loaded(4, 4);  // half a limit ago: too long
  EXPECT_EQ(TakeAll(), (Pages{3, 1, 2, 4}));
}

TEST_F(EvictionOrderTest, WhatComesBackSoonGoesLast) {
  Loaded(1, 3);
  Loaded(2, 0);
  Fresh(3);
  Fresh(4);
  EXPECT_EQ(TakeAll(), (Pages{3, 4, 1, 2}));
}

TEST_F(EvictionOrderTest, AtMostHalfIsProven) {
  Fresh(0);
  for (uint32_t page = 1; page <= 6; ++page) Loaded(page, 0);
  Fresh(7);
  // 1 and 2 are back in the common queue, in the order in which they came there.
  EXPECT_EQ(TakeAll(), (Pages{0, 1, 2, 7, 3, 4, 5, 6}));
}

TEST_F(EvictionOrderTest, RemovedAndReplacedAnywhere) {
  for (uint32_t page = 0; page < 4; ++page) Fresh(page);
  for (uint32_t page = 4; page < 8; ++page) Loaded(page, 0);
  order_.Remove(pages_[1]);
  order_.Remove(pages_[7]);
  order_.Replace(pages_[0], pages_[10]);
  order_.Replace(pages_[3], pages_[11]);
  order_.Replace(pages_[5], pages_[12]);
  EXPECT_TRUE(pages_[12].proven);
  EXPECT_FALSE(pages_[5].queued);
  EXPECT_EQ(TakeAll(), (Pages{10, 2, 11, 4, 12, 6}));
}

}  // namespace
}  // namespace coracle::epc

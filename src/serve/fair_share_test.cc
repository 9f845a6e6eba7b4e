#include "serve/fair_share.h"

#include <gtest/gtest.h>

namespace coracle::serve {
namespace {

TEST(FairShareTest, TimeIsSharedByWeight) {
  FairShare share(100);
  ShareAccount one{.weight = 1};
  ShareAccount three{.weight = 3};
  double one_ms = 0;
  double three_ms = 0;
  for (int i = 0; i < 400; ++i) {
    if (one.used_ms <= three.used_ms) {
      share.Charge(one, 10);
      one_ms += 10;
    } else {
      share.Charge(three, 10);
      three_ms += 10;
    }
  }
  EXPECT_NEAR(three_ms / one_ms, 3, 0.1);
}

TEST(FairShareTest, IdlingSavesNothing) {
  FairShare share(100);
  ShareAccount busy;
  ShareAccount idle;
  for (int i = 0; i < 100; ++i) share.Charge(busy, 10);
  share.Wake(idle);
  EXPECT_GE(idle.used_ms, busy.used_ms - 10);
}

TEST(FairShareTest, WhatIsOwedIsBounded) {
  FairShare share(100);
  ShareAccount busy;
  ShareAccount waits;
  share.Wake(waits);
  for (int i = 0; i < 100; ++i) share.Charge(busy, 10);
  share.Charge(waits, 1);
  EXPECT_GE(waits.used_ms, busy.used_ms - 10 - 100);
}

}  // namespace
}  // namespace coracle::serve

#include "cmd/support/rate_line.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

TEST(RateLineTest, CountsWhatThisCallDid) {
  EXPECT_EQ(RateText(0, 8, 0, 1), "[........................] 0 of 8");
  EXPECT_EQ(RateText(512, 1024, 0, 10),
            "[############............] 512 of 1024, 51.2 a second, 0:10 left");
  EXPECT_EQ(RateText(600, 1000, 500, 1),
            "[##############..........] 600 of 1000, 100.0 a second, 0:04 left");
  EXPECT_EQ(RateText(500, 1000, 500, 1), "[############............] 500 of 1000");
  EXPECT_EQ(RateText(1, 10'000, 0, 1),
            "[........................] 1 of 10000, 1.0 a second, 2:46:39 left");
  EXPECT_EQ(RateText(8, 8, 0, 2), "[########################] 8 of 8, 4.0 a second, 0:00 left");
}

}  // namespace
}  // namespace coracle::cmd

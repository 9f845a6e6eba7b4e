#include "base/units.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

TEST(UnitsTest, ParsesWhatPeopleWrite) {
  EXPECT_EQ(*ParseBytes("8MiB"), 8U << 20);
  EXPECT_EQ(*ParseBytes("512 KiB"), 512U << 10);
  EXPECT_EQ(*ParseBytes("1.5GiB"), 3ULL << 29);
  EXPECT_EQ(*ParseBytes("17"), 17U);
  EXPECT_EQ(*ParseBytes("17B"), 17U);
}

TEST(UnitsTest, RefusesEverythingElse) {
  for (const char* text :
       {"", "MiB", "-1MiB", "8MB", "8 MiB ", "8mib", "1e30GiB", "nan", "inf", "0.3B", "8MiBx"}) {
    EXPECT_FALSE(ParseBytes(text).ok()) << text;
  }
}

TEST(UnitsTest, FormatsShortly) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(65536), "64 KiB");
  EXPECT_EQ(FormatBytes(3355443), "3.2 MiB");
  EXPECT_EQ(FormatBytes(553ULL << 20), "553 MiB");
}

}  // namespace
}  // namespace coracle

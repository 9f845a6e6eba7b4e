#include "vision/difference.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace coracle::vision {
namespace {

TEST(Difference, IsRelativeToTheReference) {
  Difference difference;
  difference.Add(std::vector{3.0F, -4.0F}, std::vector{3.0F, -4.0F});
  EXPECT_EQ(difference.RelativeRms(), 0);
  difference.Add(std::vector{0.0F, 0.0F}, std::vector{0.0F, 0.5F});
  EXPECT_DOUBLE_EQ(difference.RelativeRms(), 0.1);
  EXPECT_DOUBLE_EQ(difference.RelativeLargest(), 0.125);
}

TEST(Difference, OfZerosIsZeroOrWithoutBound) {
  Difference difference;
  difference.Add(std::vector{0.0F}, std::vector{0.0F});
  EXPECT_EQ(difference.RelativeRms(), 0);
  difference.Add(std::vector{0.0F}, std::vector{1.0F});
  EXPECT_EQ(difference.RelativeLargest(), std::numeric_limits<double>::infinity());
}

TEST(TopAgreement, ComparesRowByRow) {
  TopAgreement agreement(Shape{1, 2, 3});
  ASSERT_TRUE(agreement.applies());
  agreement.Add(std::vector<float>{1, 2, 3, 3, 2, 1}, std::vector<float>{1, 2, 4, 1, 2, 1});
  EXPECT_EQ(agreement.rows(), 2U);
  EXPECT_EQ(agreement.agreeing(), 1U);
}

TEST(TopAgreement, KnowsWhatRowsOfScoresAre) {
  EXPECT_TRUE(TopAgreement(Shape{1, 1000}).applies());
  EXPECT_TRUE(TopAgreement(Shape{1, 1000, 1, 1}).applies());
  EXPECT_TRUE(TopAgreement(Shape{10}).applies());
  EXPECT_FALSE(TopAgreement(Shape{1, 255, 13, 13}).applies());
  EXPECT_FALSE(TopAgreement(Shape{}).applies());
  EXPECT_FALSE(TopAgreement(Shape{1, 1}).applies());
}

}  // namespace
}  // namespace coracle::vision

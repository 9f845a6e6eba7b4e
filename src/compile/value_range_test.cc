#include "compile/value_range.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace coracle::compile {
namespace {

std::vector<float> Normal(size_t count, float mean = 0) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(mean, 1);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(ValueHistogram, DoesNotDependOnTheOrderOfItsValues) {
  std::vector<float> values = Normal(10'000);
  values.push_back(70);
  ValueHistogram once;
  ASSERT_TRUE(once.Add(values));
  ValueHistogram pieces;
  for (size_t first = 0; first < values.size(); first += 97) {
    const size_t count = std::min<size_t>(97, values.size() - first);
    ASSERT_TRUE(pieces.Add(std::span(values).subspan(first, count)));
  }
  EXPECT_EQ(pieces.range(), once.range());
  EXPECT_EQ(pieces.count(), once.count());
  EXPECT_EQ(pieces.WithoutEnds(0.01), once.WithoutEnds(0.01));
  EXPECT_EQ(pieces.SquaredError({-2, 2}), once.SquaredError({-2, 2}));
}

TEST(ValueHistogram, RefusesWhatIsNotFinite) {
  ValueHistogram values;
  EXPECT_FALSE(values.Add(std::vector{1.0F, std::numeric_limits<float>::infinity()}));
  EXPECT_FALSE(values.Add(std::vector{std::nanf(""), 1.0F}));
  EXPECT_EQ(values.count(), 0U);
  EXPECT_EQ(values.range(), ValueRange{});
}

TEST(ValueHistogram, CutsTheShareThatWasAskedFor) {
  std::vector<float> values(1001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 1000;
  ValueHistogram histogram;
  ASSERT_TRUE(histogram.Add(values));
  EXPECT_NEAR(histogram.WithoutEnds(0.1).largest, 0.9F, 2e-3F);
  EXPECT_EQ(histogram.WithoutEnds(0.1).least, 0);
  EXPECT_EQ(histogram.WithoutEnds(0), histogram.range());
}

TEST(ValueHistogram, KnowsTheErrorOfAQuantisation) {
  const std::vector<float> values = Normal(50'000);
  ValueHistogram histogram;
  ASSERT_TRUE(histogram.Add(values));
  for (const ValueRange& range : {ValueRange{-5, 5}, ValueRange{-1, 2}}) {
    const graph::Quantization to = QuantizationOver(range);
    double error = 0;
    for (const float value : values) {
      const float q = std::min(std::max(std::nearbyint(value / to.scale) + to.zero, 0.F), 255.F);
      error += std::pow(static_cast<double>(value - to.scale * (q - to.zero)), 2);
    }
    EXPECT_NEAR(histogram.SquaredError(range), error, 0.03 * error);
  }
}

TEST(ChooseRange, CutsOutliersOnlyWhereThatPays) {
  std::vector<float> values = Normal(100'000, 3);
  ValueHistogram even;
  ASSERT_TRUE(even.Add(values));
  EXPECT_EQ(ChooseRange(even, RangeMethod::kMinMax), even.range());
  ValueHistogram odd;
  for (uint32_t i = 0; i < 40; ++i) ASSERT_TRUE(odd.Add(values));
  ASSERT_TRUE(odd.Add(std::vector{60.0F}));
  EXPECT_EQ(ChooseRange(odd, RangeMethod::kMinMax).largest, 60);
  EXPECT_LT(ChooseRange(odd, RangeMethod::kPercentile).largest, 10);
  // Few values at one end that are most of the error if they are cut.
  std::vector<float> rare(100'000, 0.0F);
  for (size_t i = 0; i < 8; ++i) rare[i] = 1;
  ValueHistogram sparse;
  ASSERT_TRUE(sparse.Add(rare));
  EXPECT_EQ(ChooseRange(sparse, RangeMethod::kPercentile), sparse.range());
}

TEST(QuantizationOver, CoversBothEndsAndHasZeroExactly) {
  for (const ValueRange& range : {ValueRange{0, 6}, ValueRange{-1.7F, 0.3F}, ValueRange{-4, 0}}) {
    const graph::Quantization q = QuantizationOver(range);
    EXPECT_LE(q.scale * (0.0F - q.zero), range.least + 0.501F * q.scale);
    EXPECT_GE(q.scale * (255.0F - q.zero), range.largest - 0.501F * q.scale);
  }
  EXPECT_EQ(QuantizationOver({0, 2.55F}).zero, 0);
  EXPECT_EQ(QuantizationOver({-2.55F, 0}).zero, 255);
  EXPECT_EQ(QuantizationOver({}), graph::Quantization{});
}

}  // namespace
}  // namespace coracle::compile

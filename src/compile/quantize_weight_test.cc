#include "compile/quantize_weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "passes/graph_for_test.h"

namespace coracle::compile {
namespace {

const std::vector<float> kNoMeans(300, 0.0F);

std::vector<float> Normal(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.1F);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

graph::Node DenseOf(std::vector<float> weights, Shape shape, graph::DenseOrder order) {
  graph::Node node;
  node.attrs = graph::Dense{};
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = passes::MakeConstant(shape, std::move(weights));
  source->dense_order = order;
  node.source = std::move(source);
  return node;
}

int CodeAt(const QuantizedWeight& quantized, size_t index) {
  return std::to_integer<int8_t>(quantized.weight->bytes[index]);
}

double SquaredError(const QuantizedWeight& quantized, const std::vector<float>& weights,
                    size_t channels) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double step = quantized.steps[i / (weights.size() / channels)];
    sum += std::pow(step * CodeAt(quantized, i) - static_cast<double>(weights[i]), 2);
  }
  return sum;
}

TEST(QuantizeWeight, IsNoWorseThanTheWholeRange) {
  const std::vector<float> weights = Normal(4 * 300);
  const auto quantized =
      QuantizeWeight(DenseOf(weights, {4, 300}, graph::DenseOrder::kOutputsByInputs), kNoMeans);
  ASSERT_EQ(quantized.steps.size(), 4U);
  EXPECT_EQ(quantized.weight->dtype, DType::kInt8);
  EXPECT_EQ(quantized.weight->shape, (Shape{4, 300}));
  double whole = 0;
  for (size_t channel = 0; channel < 4; ++channel) {
    const std::span<const float> own = std::span(weights).subspan(channel * 300, 300);
    float largest = 0;
    for (const float weight : own) largest = std::max(largest, std::abs(weight));
    const float step = largest / 127;
    for (const float weight : own) {
      whole += std::pow(static_cast<double>(step * std::nearbyint(weight / step) - weight), 2);
    }
  }
  EXPECT_LE(SquaredError(quantized, weights, 4), whole);
}

TEST(QuantizeWeight, TakesChannelsAsTheArrayHasThem) {
  const std::vector<float> rows = Normal(5 * 7);
  std::vector<float> columns(rows.size());
  for (size_t n = 0; n < 5; ++n) {
    for (size_t k = 0; k < 7; ++k) columns[k * 5 + n] = rows[n * 7 + k];
  }
  const auto by_outputs =
      QuantizeWeight(DenseOf(rows, {5, 7}, graph::DenseOrder::kOutputsByInputs), kNoMeans);
  const auto by_inputs =
      QuantizeWeight(DenseOf(columns, {7, 5}, graph::DenseOrder::kInputsByOutputs), kNoMeans);
  EXPECT_EQ(by_outputs.steps, by_inputs.steps);
  for (size_t n = 0; n < 5; ++n) {
    for (size_t k = 0; k < 7; ++k) {
      EXPECT_EQ(CodeAt(by_outputs, n * 7 + k), CodeAt(by_inputs, k * 5 + n));
    }
  }
}

TEST(QuantizeWeight, AChannelOfZerosStaysSo) {
  std::vector<float> weights = Normal(20);
  std::fill(weights.begin() + 10, weights.end(), 0.0F);
  const auto quantized =
      QuantizeWeight(DenseOf(weights, {2, 10}, graph::DenseOrder::kOutputsByInputs), kNoMeans);
  EXPECT_EQ(quantized.steps[1], 1);
  for (size_t i = 10; i < 20; ++i) EXPECT_EQ(CodeAt(quantized, i), 0);
}

TEST(QuantizeWeight, ShiftsBiasesByWhatRoundingTakesFromTheMean) {
  const std::vector<float> weights = Normal(3 * 50);
  const std::vector<float> means = Normal(50);
  const auto quantized =
      QuantizeWeight(DenseOf(weights, {3, 50}, graph::DenseOrder::kOutputsByInputs), means);
  for (size_t n = 0; n < 3; ++n) {
    double shift = 0;
    for (size_t k = 0; k < 50; ++k) {
      const float rounded = quantized.steps[n] * static_cast<float>(CodeAt(quantized, n * 50 + k));
      shift += static_cast<double>((weights[n * 50 + k] - rounded) * means[k]);
    }
    EXPECT_NEAR(quantized.bias_shifts[n], shift, 1e-5);
    EXPECT_NE(quantized.bias_shifts[n], 0);
  }
}

TEST(QuantizeWeight, AConvolutionsChannelsAreItsOutputs) {
  passes::GraphForTest b;
  const auto x = b.Input({1, 8, 5, 5});
  b.Output(b.Conv(x, 6, {.kernel_h = 3, .kernel_w = 3}, 2));
  const auto quantized = QuantizeWeight(b.graph().nodes[0], kNoMeans);
  EXPECT_EQ(quantized.steps.size(), 6U);
  EXPECT_EQ(quantized.weight->bytes.size(), 6U * 4 * 9);
}

}  // namespace
}  // namespace coracle::compile

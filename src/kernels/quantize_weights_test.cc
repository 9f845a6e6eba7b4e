#include "kernels/quantize_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "kernels/packing.h"
#include "kernels/panel_text.h"

namespace coracle::kernels {
namespace {

using graph::WeightType;

/// A Dense of `outputs` x `inputs` weights, an output's beside each other.
struct DenseCase {
  DenseCase(uint32_t inputs, uint32_t outputs, std::vector<float> weights, WeightType type) {
    graph.stage = graph::Stage::kRows;
    graph::Node node;
    node.attrs = graph::Dense{.out_features = outputs};
    node.inputs = {graph.AddTensor("in", Shape{1, inputs})};
    node.output = graph.AddTensor("out", Shape{1, outputs});
    node.weight_type = type;
    const auto kept = std::make_shared<std::vector<float>>(std::move(weights));
    auto constant = std::make_shared<graph::Constant>();
    constant->shape = Shape{outputs, inputs};
    constant->bytes = std::as_bytes(std::span(*kept));
    constant->owner = kept;
    auto source = std::make_shared<graph::WeightSource>();
    source->weight = constant;
    source->dense_order = graph::DenseOrder::kOutputsByInputs;
    node.source = source;
    graph.AddNode(node);
    loss = MeasureQuantization(graph, graph.nodes[0], type, source->weight_steps);
    graph.nodes[0].weights = CutIntoChunks(graph, graph.nodes[0], graph::ChunkIndex{0});
    EXPECT_TRUE(CheckLayout(graph, graph.nodes[0], graph.nodes[0].weights).ok());
  }

  /// Weight of output n and input k as kernels read it.
  std::vector<float> Unpacked(uint32_t inputs, uint32_t outputs) const {
    const graph::Node& node = graph.nodes[0];
    std::vector<float> out(size_t{inputs} * outputs, std::numeric_limits<float>::quiet_NaN());
    for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
      std::vector<uint32_t> words(chunk.bytes / 4);
      const auto bytes = std::as_writable_bytes(std::span(words));
      PackChunk(graph, node, chunk, bytes);
      const std::byte* text = bytes.data();
      for (uint32_t i = 0; i < chunk.panel_count; ++i) {
        const PanelGeometry panel = PanelAt(graph, node, chunk.panel_begin + i);
        const PanelText layout(node.weight_type, panel.width, chunk.k_count, chunk.k_begin == 0);
        for (uint32_t k = 0; k < chunk.k_count; ++k) {
          for (uint32_t n = 0; n < panel.channel_count; ++n) {
            out[size_t{panel.channel_begin + n} * inputs + chunk.k_begin + k] =
                layout.Weight(text, k, n);
          }
        }
        text += layout.Bytes();
      }
    }
    return out;
  }

  graph::Graph graph;
  QuantizationLoss loss;
};

std::vector<float> NormalWeights(size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.05F);
  std::vector<float> weights(count);
  for (float& weight : weights) weight = normal(random);
  return weights;
}

double RelativeError(const std::vector<float>& want, const std::vector<float>& got) {
  double error = 0;
  double square = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{want[i]} - got[i], 2);
    square += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / square);
}

TEST(QuantizeWeightsTest, LossIsWhatPackedWeightsLose) {
  constexpr uint32_t kInputs = 3001;
  constexpr uint32_t kOutputs = 77;
  const std::vector<float> weights = NormalWeights(size_t{kInputs} * kOutputs);
  for (const auto& [type, limit] :
       {std::pair{WeightType::kInt8, 0.0097}, {WeightType::kInt4, 0.09}}) {
    const DenseCase made(kInputs, kOutputs, weights, type);
    const double measured = RelativeError(weights, made.Unpacked(kInputs, kOutputs));
    EXPECT_NEAR(measured, made.loss.Relative(), 1e-6 + 1e-4 * measured);
    EXPECT_LT(measured, limit);
    EXPECT_TRUE(made.loss.finite);
  }
}

TEST(QuantizeWeightsTest, Int4SearchBeatsTheLargestMagnitude) {
  const std::vector<float> weights = NormalWeights(32 * 64);
  const DenseCase made(32, 64, weights, WeightType::kInt4);
  double plain = 0;
  double square = 0;
  for (size_t group = 0; group < 64; ++group) {
    const auto begin = weights.begin() + static_cast<std::ptrdiff_t>(group * 32);
    float largest = 0;
    for (auto w = begin; w != begin + 32; ++w) largest = std::max(largest, std::abs(*w));
    for (auto w = begin; w != begin + 32; ++w) {
      const float scale = largest / 7;
      plain += std::pow(double{*w} - scale * std::nearbyint(*w / scale), 2);
      square += std::pow(double{*w}, 2);
    }
  }
  EXPECT_LT(made.loss.Relative(), 0.96 * std::sqrt(plain / square));
}

TEST(QuantizeWeightsTest, MultiplesOfABFloat16ScaleSurvive) {
  // What int8 can say exactly comes back exactly, the ends of the range included.
  std::vector<float> weights;
  for (int q = -127; q <= 127; ++q) weights.push_back(0.0078125F * static_cast<float>(q));
  const auto inputs = static_cast<uint32_t>(weights.size());
  const DenseCase made(inputs, 1, weights, WeightType::kInt8);
  EXPECT_EQ(made.Unpacked(inputs, 1), weights);
  EXPECT_EQ(made.loss.Relative(), 0);
}

TEST(QuantizeWeightsTest, ZeroAndTinyChannelsAreZeros) {
  for (const auto type : {WeightType::kInt8, WeightType::kInt4}) {
    std::vector<float> weights(3 * 40, 0.0F);
    for (size_t k = 0; k < 40; ++k) weights[40 + k] = 1e-40F * static_cast<float>(k);
    for (size_t k = 0; k < 40; ++k) weights[80 + k] = k % 2 == 0 ? 1.0F : -1.0F;
    const DenseCase made(40, 3, weights, type);
    const std::vector<float> got = made.Unpacked(40, 3);
    for (size_t k = 0; k < 80; ++k) EXPECT_EQ(got[k], 0.0F);
    for (size_t k = 80; k < 120; ++k) EXPECT_NEAR(got[k], weights[k], 0.08F);
  }
}

TEST(QuantizeWeightsTest, HugeWeightsStayFinite) {
  for (const auto type : {WeightType::kInt8, WeightType::kInt4}) {
    std::vector<float> weights(64, std::numeric_limits<float>::max());
    for (size_t k = 0; k < 64; k += 2) weights[k] = -weights[k];
    const DenseCase made(64, 1, weights, type);
    EXPECT_TRUE(made.loss.finite);
    for (const float weight : made.Unpacked(64, 1)) EXPECT_TRUE(std::isfinite(weight)) << weight;
  }
}

TEST(QuantizeWeightsTest, NotANumberIsNoticed) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const auto type : {WeightType::kInt8, WeightType::kInt4}) {
      std::vector<float> weights(64, 1.0F);
      weights[17] = bad;
      EXPECT_FALSE(DenseCase(64, 1, weights, type).loss.finite);
    }
  }
}

TEST(QuantizeWeightsTest, FullyConnectedLayerOfVgg16IsAsSmallAsPromised) {
  for (const auto& [type, limit] :
       {std::pair{WeightType::kInt8, 98.1}, {WeightType::kInt4, 55.3}}) {
    graph::Graph graph;
    graph.stage = graph::Stage::kRows;
    graph::Node node;
    node.attrs = graph::Dense{.out_features = 4096};
    node.inputs = {graph.AddTensor("in", Shape{1, 25088})};
    node.output = graph.AddTensor("out", Shape{1, 4096});
    node.weight_type = type;
    graph.AddNode(node);
    const auto layout = CutIntoChunks(graph, graph.nodes[0], graph::ChunkIndex{0});
    EXPECT_TRUE(CheckLayout(graph, graph.nodes[0], layout).ok());
    EXPECT_LE(static_cast<double>(layout.TotalBytes()) / (1 << 20), limit);
  }
}

}  // namespace
}  // namespace coracle::kernels

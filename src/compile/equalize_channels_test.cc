#include "compile/equalize_channels.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compile/float_twin_for_test.h"
#include "compile/layer_weights.h"
#include "compile/networks_for_test.h"
#include "compile/quantize_activations.h"
#include "vision/difference.h"

namespace coracle::compile {
namespace {

using graph::ActivationKind;
using passes::GraphForTest;

/// Multiplies channel i of one layer's output by 4^i, and divides what the other makes of it.
void Unbalance(graph::Node& maker, graph::Node& reader) {
  auto made = std::make_shared<graph::WeightSource>(*maker.source);
  auto read = std::make_shared<graph::WeightSource>(*reader.source);
  const LayerWeights weights(reader);
  std::vector<float> values(weights.channels() * weights.count());
  made->scale.resize(LayerWeights(maker).channels(), 1.0F);
  for (size_t i = 0; i < made->scale.size(); ++i) {
    const float factor = std::exp2(2 * static_cast<float>(i));
    made->scale[i] *= factor;
    made->bias[i] *= factor;
    for (uint64_t n = 0; n < weights.channels(); ++n) {
      for (uint64_t k = 0; k < weights.count(); ++k) {
        if (weights.InputOf(n, k) != i) continue;
        values[weights.At(n, k)] = weights.Value(n, k) / factor;
      }
    }
  }
  read->weight = passes::MakeConstant(read->weight->shape, std::move(values));
  maker.source = std::move(made);
  reader.source = std::move(read);
}

vision::Difference Between(const graph::Graph& a, const graph::Graph& b) {
  vision::Difference difference;
  for (uint32_t seed = 20; seed < 23; ++seed) {
    difference.Add(RunAll(a, seed)[0], RunAll(b, seed)[0]);
  }
  return difference;
}

double QuantizedError(const graph::Graph& graph) {
  const auto quantized = QuantizeActivations(graph, SummariesOf(graph));
  EXPECT_TRUE(quantized.ok());
  return Between(graph, FloatTwin(quantized->graph)).RelativeRms();
}

TEST(EqualizeChannels, SavesWhatUnbalancedChannelsLose) {
  for (const uint32_t groups : {1U, 8U}) {  // dense and depthwise
    GraphForTest b;
    auto x = b.Unary(b.Conv(b.Input({1, 3, 8, 8}), 8, Square(3, 1, 1)), ActivationKind::kRelu);
    x = b.Unary(b.Conv(x, 8, Square(3, 1, 1), groups), ActivationKind::kTanh);
    b.Output(b.Mean(x, {2, 3}));
    graph::Graph graph = Lowered(b);
    Unbalance(graph.nodes[0], graph.nodes[1]);
    const graph::Graph equal = EqualizeChannels(graph, SummariesOf(graph));
    EXPECT_LT(Between(graph, equal).RelativeRms(), 1e-5);
    const double before = QuantizedError(graph);
    EXPECT_LT(QuantizedError(equal), before / 4) << groups;
    EXPECT_GT(before, 0.02);
  }
}

TEST(EqualizeChannels, KeepsResidualsTogether) {
  GraphForTest b;
  const auto x = b.Conv(b.Input({1, 3, 8, 8}), 8, Square(3, 1, 1));
  const auto branch = b.Conv(b.Unary(b.Conv(x, 16), ActivationKind::kRelu), 8);
  const auto sum = b.Binary(graph::BinaryKind::kAdd, x, branch);
  b.Output(b.Conv(sum, 4));
  const graph::Graph graph = Lowered(b);
  const graph::Graph equal = EqualizeChannels(graph, SummariesOf(graph));
  EXPECT_LT(Between(graph, equal).RelativeRms(), 1e-5);
  size_t changed = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    changed += graph.nodes[i].source != equal.nodes[i].source ? 1 : 0;
  }
  EXPECT_EQ(changed, 4U);
}

TEST(EqualizeChannels, LeavesWhatOthersSee) {
  GraphForTest b;
  const auto x = b.Conv(b.Input({1, 3, 8, 8}), 8, Square(3, 1, 1));
  const auto y = b.Unary(b.Conv(x, 8), ActivationKind::kHardSwish, 1.0F / 6, 0.5F);
  b.Output(x);
  b.Output(b.Conv(y, 8));
  const graph::Graph graph = Lowered(b);
  const graph::Graph equal = EqualizeChannels(graph, SummariesOf(graph));
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(graph.nodes[i].source, equal.nodes[i].source) << graph.nodes[i].name;
  }
}

TEST(EqualizeChannels, RandomNetworksComputeTheSame) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    graph::Graph logical = passes::RandomGraph(seed, 12);
    ASSERT_TRUE(passes::RunPasses(logical).ok());
    const auto rows = passes::LowerToRows(logical);
    ASSERT_TRUE(rows.ok());
    graph::Graph graph = SplitResiduals(*rows);
    CutWeights(graph);
    const graph::Graph equal = EqualizeChannels(graph, SummariesOf(graph));
    const auto expected = RunAll(graph, 30);
    const auto got = RunAll(equal, 30);
    for (size_t i = 0; i < expected.size(); ++i) {
      vision::Difference difference;
      difference.Add(expected[i], got[i]);
      EXPECT_LT(difference.RelativeRms(), 1e-4);
    }
  }
}

}  // namespace
}  // namespace coracle::compile

#include "compile/quantize_activations.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "compile/float_twin_for_test.h"
#include "compile/networks_for_test.h"
#include "vision/difference.h"

namespace coracle::compile {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::OpKind;
using graph::TensorIndex;
using passes::GraphForTest;

constexpr graph::Resize kTwice{.scale_h = 2, .scale_w = 2};
const graph::Attributes kMaxPool = graph::Pool{.window = Square(2, 2, 0)};
const graph::Attributes kAveragePool =
    graph::Pool{.kind = graph::PoolKind::kAverage, .window = Square(2, 2, 0)};

QuantizedGraph Quantized(const graph::Graph& graph) {
  auto quantized = QuantizeActivations(graph, SummariesOf(graph));
  EXPECT_TRUE(quantized.ok()) << (quantized.ok() ? "" : quantized.error().message);
  return std::move(quantized).value();
}

size_t CountInteger(const graph::Graph& graph) {
  return static_cast<size_t>(
      std::ranges::count(graph.nodes, graph::WeightType::kDot8, &graph::Node::weight_type));
}

const graph::Node& Only(const graph::Graph& graph, OpKind kind) {
  const auto found = std::ranges::find(graph.nodes, kind, &graph::Node::kind);
  EXPECT_NE(found, graph.nodes.end());
  return *found;
}

/// Each tensor of a quantised graph has the type that its maker gives and its readers take.
void ExpectTypesFit(const graph::Graph& graph) {
  const auto is = [&](TensorIndex tensor, DType dtype) {
    EXPECT_EQ(graph.tensor(tensor).dtype, dtype) << graph.tensor(tensor).name;
  };
  for (const auto* ports : {&graph.inputs, &graph.outputs}) {
    for (const graph::Port& port : *ports) is(port.tensor, DType::kFloat32);
  }
  for (const graph::Node& node : graph.nodes) {
    const DType in = graph.tensor(node.inputs[0]).dtype;
    for (const TensorIndex input : node.inputs) is(input, in);
    switch (node.kind()) {
      case OpKind::kQuantize:
        is(node.inputs[0], DType::kFloat32);
        is(node.output, DType::kUint8);
        break;
      case OpKind::kDequantize:
        is(node.inputs[0], DType::kUint8);
        is(node.output, DType::kFloat32);
        break;
      case OpKind::kConv:
      case OpKind::kDense:
        EXPECT_EQ(in == DType::kUint8, node.weight_type == graph::WeightType::kDot8);
        EXPECT_EQ(node.residual, graph::Residual::kNone);
        break;
      default:
        is(node.output, in);
    }
  }
}

/// How far the integer network's outputs are from the float32 one's, on inputs that calibration did
/// not see.
double ErrorOf(const graph::Graph& graph, const QuantizedGraph& quantized) {
  const graph::Graph twin = FloatTwin(quantized.graph);
  vision::Difference difference;
  for (uint32_t seed = 20; seed < 24; ++seed) {
    const auto expected = RunAll(graph, seed);
    const auto got = RunAll(twin, seed);
    for (size_t i = 0; i < expected.size(); ++i) difference.Add(expected[i], got[i]);
  }
  return difference.RelativeRms();
}

TEST(QuantizeActivations, AChainHasOneBorderAtItsBeginning) {
  GraphForTest b;
  auto x = b.Unary(b.Conv(b.Input({1, 3, 16, 16}), 16, Square(3, 1, 1)), ActivationKind::kRelu);
  x = b.Unary(b.Conv(x, 16, Square(3, 1, 1), 16), ActivationKind::kHardSwish, 1.0F / 6, 0.5F);
  x = b.Add(kMaxPool, {x});
  x = b.Conv(x, 24, Square(1, 1, 0));
  b.Output(b.Dense(b.Reshape(b.Mean(x, {2, 3}), {1, 24}), 10));
  const graph::Graph graph = Lowered(b);
  const QuantizedGraph quantized = Quantized(graph);
  ExpectTypesFit(quantized.graph);
  EXPECT_EQ(CountInteger(quantized.graph), 4U);
  EXPECT_EQ(quantized.layers.size(), 4U);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kQuantize), 2U);  // the mean is float32
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kDequantize), 0U);
  const graph::Node& pool = Only(quantized.graph, OpKind::kPool);
  EXPECT_EQ(quantized.graph.tensor(pool.output).dtype, DType::kUint8);
  EXPECT_LT(ErrorOf(graph, quantized), 0.03);
}

TEST(QuantizeActivations, AResidualBecomesAQuantizedAdd) {
  GraphForTest b;
  auto x = b.Unary(b.Conv(b.Input({1, 3, 8, 8}), 16, Square(3, 1, 1)), ActivationKind::kRelu);
  const auto branch = b.Conv(x, 16, Square(3, 1, 1));
  x = b.Unary(b.Binary(BinaryKind::kAdd, branch, x), ActivationKind::kRelu);
  b.Output(b.Conv(x, 8, Square(1, 1, 0)));
  const graph::Graph graph = Lowered(b);
  const QuantizedGraph quantized = Quantized(graph);
  ExpectTypesFit(quantized.graph);
  const graph::Node& add = Only(quantized.graph, OpKind::kQuantizedAdd);
  EXPECT_EQ(add.activation.kind, ActivationKind::kRelu);
  EXPECT_EQ(std::get<graph::QuantizedAdd>(add.attrs).out.zero, 0);
  EXPECT_GT(std::get<graph::QuantizedAdd>(add.attrs).a.zero, 0);  // before its ReLU
  EXPECT_EQ(quantized.layers.size(), 4U);
  EXPECT_LT(ErrorOf(graph, quantized), 0.03);
}

TEST(QuantizeActivations, TheLastAdditionStaysFloat) {
  GraphForTest b;
  const auto x = b.Unary(b.Conv(b.Input({1, 3, 8, 8}), 16, Square(3, 1, 1)), ActivationKind::kRelu);
  const auto y = b.Binary(BinaryKind::kAdd, b.Conv(x, 16, Square(3, 1, 1)), x);
  b.Output(b.Mean(y, {2, 3}));
  const graph::Graph graph = Lowered(b);
  const QuantizedGraph quantized = Quantized(graph);
  ExpectTypesFit(quantized.graph);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kQuantizedAdd), 0U);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kBinary), 1U);
  EXPECT_LT(ErrorOf(graph, quantized), 0.03);
}

TEST(QuantizeActivations, WhatIsConcatenatedSharesOneQuantisation) {
  GraphForTest b;
  const auto in = b.Input({1, 3, 16, 16});
  const auto small = b.Conv(b.Add(kMaxPool, {in}), 8, Square(3, 1, 1));
  const auto enlarged = b.Add(kTwice, {small}, {}, {1, 8, 16, 16});
  const auto wide = b.Unary(b.Conv(in, 8, Square(3, 1, 1)), ActivationKind::kClip, 0, 0.25F);
  b.Output(b.Conv(b.Add(graph::Concat{1}, {enlarged, wide}), 8, Square(1, 1, 0)));
  const graph::Graph graph = Lowered(b);
  const QuantizedGraph quantized = Quantized(graph);
  ExpectTypesFit(quantized.graph);
  std::vector<graph::Quantization> out;
  for (const IntegerLayer& layer : quantized.layers) out.push_back(layer.quantization);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(std::ranges::count(out, graph::Quantization{}), 1);  // the last: float32
  std::erase(out, graph::Quantization{});
  EXPECT_EQ(out[0], out[1]);
  EXPECT_LT(ErrorOf(graph, quantized), 0.03);
}

TEST(QuantizeActivations, FloatReadersGetWhatWasNotRounded) {
  GraphForTest b;
  const auto x = b.Conv(b.Input({1, 3, 8, 8}), 16, Square(3, 1, 1));
  b.Output(b.Conv(x, 8, Square(1, 1, 0)));
  b.Output(b.Add(kAveragePool, {x}));
  const QuantizedGraph quantized = Quantized(Lowered(b));
  ExpectTypesFit(quantized.graph);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kQuantize), 2U);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kDequantize), 0U);
}

TEST(QuantizeActivations, AnAdditionWithFloatReadersTooIsDequantisedForThem) {
  GraphForTest b;
  const auto x = b.Conv(b.Input({1, 3, 8, 8}), 16, Square(3, 1, 1));
  const auto y = b.Conv(x, 16, Square(3, 1, 1));
  const auto sum = b.Binary(BinaryKind::kAdd, x, y);
  b.Output(b.Conv(sum, 8, Square(1, 1, 0)));
  b.Output(b.Add(kAveragePool, {sum}));
  const graph::Graph graph = Lowered(b);
  const QuantizedGraph quantized = Quantized(graph);
  ExpectTypesFit(quantized.graph);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kQuantizedAdd), 1U);
  EXPECT_EQ(passes::CountOf(quantized.graph, OpKind::kDequantize), 1U);
  EXPECT_LT(ErrorOf(graph, quantized), 0.03);
}

TEST(QuantizeActivations, LeavesWhatHasNoIntegerForm) {
  GraphForTest b;
  const auto x = b.Unary(b.Input({1, 8}), ActivationKind::kTanh);
  b.Output(b.Add(graph::Softmax{1}, {x}));
  const graph::Graph graph = Lowered(b);
  const auto quantized = QuantizeActivations(graph, SummariesOf(graph));
  ASSERT_FALSE(quantized.ok());
  EXPECT_EQ(quantized.error().code, Code::kUnsupported);
}

TEST(QuantizeActivations, RandomNetworksKeepTheirTypesInOrder) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    graph::Graph logical = passes::RandomGraph(seed, 12);
    ASSERT_TRUE(passes::RunPasses(logical).ok());
    const auto rows = passes::LowerToRows(logical);
    ASSERT_TRUE(rows.ok());
    const graph::Graph split = SplitResiduals(*rows);
    std::vector<TensorSummary> summaries;
    for (const graph::Tensor& tensor : split.tensors) {
      const size_t channels = tensor.shape.rank() == 0 ? 1 : tensor.shape.Back(0);
      summaries.push_back({{-2, 3}, std::vector<float>(channels), std::vector<float>(channels, 1)});
    }
    const auto quantized = QuantizeActivations(split, summaries);
    if (!quantized.ok()) continue;
    ExpectTypesFit(quantized->graph);
    for (size_t i = 0; i < split.outputs.size(); ++i) {
      EXPECT_EQ(quantized->graph.outputs[i].shape, split.outputs[i].shape);
    }
  }
}

}  // namespace
}  // namespace coracle::compile

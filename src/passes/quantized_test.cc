#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "graph/dump.h"
#include "graph/verify.h"
#include "passes/graph_for_test.h"
#include "passes/passes.h"
#include "passes/pipeline.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::Quantization;
using graph::TensorIndex;
using graph::WeightType;

// Powers of two: every way of computing gives the same bits.
constexpr Quantization kIn{1.0F / 64, 120};
constexpr Quantization kOut{1.0F / 16, 131};

size_t IntegerLayers(const Graph& graph) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(),
                    [](const Node& node) { return node.weight_type == WeightType::kDot8; }));
}

/// The graph after all passes and lowering, having computed the same at each stage.
Graph Rewritten(const GraphForTest& builder) {
  Graph graph = builder.graph();
  const Status before = graph::Verify(graph);
  EXPECT_TRUE(before.ok()) << before.error().message;
  const Status status = RunPasses(graph);
  EXPECT_TRUE(status.ok()) << status.error().message;
  ExpectSameResults(builder.graph(), graph, 3);
  for (const Graph& logical : {builder.graph(), graph}) {
    const auto rows = LowerToRows(logical);
    EXPECT_TRUE(rows.ok()) << rows.error().message;
    if (rows.ok()) ExpectSameResults(builder.graph(), *rows, 4);
  }
  return graph;
}

TensorIndex QuantizedInput(GraphForTest& builder, const Shape& shape) {
  return builder.Dequantize(builder.Quantize(builder.Input(shape), kIn), kIn);
}

/// A Conv of dequantised operands whose bias is whole steps of its sums.
TensorIndex QuantizedConv(GraphForTest& builder, TensorIndex x, uint32_t channels,
                          graph::Window window, uint32_t groups, bool per_channel) {
  const TensorIndex y = builder.Conv(x, channels, window, groups);
  builder.QuantizeWeight(y, per_channel);
  Node& node = builder.mutable_graph().nodes.back();
  graph::WeightSource source = *node.source;
  for (float& bias : source.bias) bias = std::nearbyint(bias * 4096) / 4096;
  node.source = std::make_shared<graph::WeightSource>(source);
  return y;
}

class QuantizedConvs : public testing::TestWithParam<ActivationKind> {};

TEST_P(QuantizedConvs, BecomeSumsOfIntegers) {
  for (const bool per_channel : {false, true}) {
    for (const uint32_t groups : {1U, 2U, 4U}) {
      GraphForTest builder(groups);
      const graph::Window window{3, 3, 2, 1, 1, 1, 1, 0, 1, 2};
      TensorIndex y = QuantizedInput(builder, {2, 4, 7, 6});
      y = QuantizedConv(builder, y, 8, window, groups, per_channel);
      if (GetParam() != ActivationKind::kNone) y = builder.Unary(y, GetParam(), -0.25F, 3);
      builder.Output(builder.Dequantize(builder.Quantize(y, kOut), kOut));
      const Graph graph = Rewritten(builder);
      ASSERT_EQ(graph.nodes.size(), 3U) << graph::Dump(graph);
      const Node& conv = graph.nodes[1];
      EXPECT_EQ(conv.weight_type, WeightType::kDot8);
      EXPECT_EQ(conv.integer.in_zero, kIn.zero);
      EXPECT_EQ(conv.integer.out, (Quantization{1, kOut.zero}));
      EXPECT_EQ(conv.source->integer_bias.size(), 8U);
      EXPECT_TRUE(conv.source->bias.empty());
      EXPECT_EQ(graph.tensor(conv.output).dtype, DType::kUint8);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Activations, QuantizedConvs,
                         testing::Values(ActivationKind::kNone, ActivationKind::kRelu,
                                         ActivationKind::kClip));

TEST(FuseIntegerSums, OtherActivationsKeepTheirScale) {
  GraphForTest builder;
  TensorIndex y = QuantizedConv(builder, QuantizedInput(builder, {1, 4, 5, 5}), 8, {}, 1, false);
  y = builder.Unary(y, ActivationKind::kHardSwish, 0.25F, 0.5F);
  builder.Output(builder.Dequantize(builder.Quantize(y, kOut), kOut));
  const Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 3U) << graph::Dump(graph);
  EXPECT_EQ(graph.nodes[1].integer.out, kOut);
}

TEST(FuseIntegerSums, AFloatResultNeedsNoQuantize) {
  GraphForTest builder;
  const TensorIndex x = QuantizedInput(builder, {3, 12});
  for (const uint32_t outputs : {6U, 7U}) {
    const TensorIndex y = builder.Dense(x, outputs);
    builder.QuantizeWeight(y, outputs == 6);
    builder.Output(builder.Unary(y, ActivationKind::kSigmoid));
  }
  const Graph graph = Rewritten(builder);
  EXPECT_EQ(graph.nodes.size(), 3U) << graph::Dump(graph);
  EXPECT_EQ(IntegerLayers(graph), 2U);
}

TEST(FuseIntegerSums, LeavesFloatWeightsAlone) {
  GraphForTest builder;
  const TensorIndex y = builder.Conv(QuantizedInput(builder, {1, 4, 5, 5}), 8);
  builder.Output(builder.Dequantize(builder.Quantize(y, kOut), kOut));
  EXPECT_EQ(IntegerLayers(Rewritten(builder)), 0U);
}

TEST(FuseIntegerSums, NothingFoldsIntoIntegers) {
  GraphForTest builder;
  const TensorIndex x = QuantizedInput(builder, {1, 4, 6, 6});
  TensorIndex y = QuantizedConv(builder, x, 4, {}, 1, false);
  builder.Output(builder.Dequantize(builder.Quantize(y, kOut), kOut));
  // The sums' float result, scaled, activated and added to: not by the node of the sums.
  TensorIndex z = QuantizedConv(builder, x, 4, {}, 1, false);
  z = builder.Unary(z, ActivationKind::kTanh);
  z = builder.Constant(BinaryKind::kMul, z, {4, 1, 1}, {1, 2, 3, 4});
  builder.Output(builder.Binary(BinaryKind::kAdd, z, QuantizedInput(builder, {1, 4, 6, 6})));
  const Graph graph = Rewritten(builder);
  EXPECT_EQ(IntegerLayers(graph), 2U) << graph::Dump(graph);
  for (const Node& node : graph.nodes) {
    if (node.weight_type == WeightType::kDot8) {
      EXPECT_EQ(node.residual, graph::Residual::kNone);
    }
  }
}

/// DynamicQuantizeLinear, ConvInteger or MatMulInteger, Cast, Mul(x_scale w_scale), Add, Relu, as
/// the importer has them.
TensorIndex DynamicLayer(GraphForTest& builder, TensorIndex x, TensorIndex range, bool conv) {
  const Shape unit{2};
  TensorIndex one = builder.Constant(BinaryKind::kMul, range, unit, {0, 1});
  one = builder.Constant(BinaryKind::kAdd, one, unit, {1, 0});
  const TensorIndex q =
      builder.Add(graph::Quantize{{}, graph::QuantizationSource::kTensor}, {x, range});
  const TensorIndex float_layer =
      conv ? builder.Conv(x, 6, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}) : builder.Dense(x, 6);
  builder.QuantizeWeight(float_layer, false);
  Node layer = builder.graph().nodes.back();
  graph::WeightSource source = *layer.source;
  auto integers = std::make_shared<graph::Constant>(*source.weight->from->integers);
  integers->dtype = DType::kInt8;
  source.weight = integers;
  source.bias.clear();
  source.weight_zero.assign(6, -17);
  layer.source = std::make_shared<graph::WeightSource>(source);
  layer.inputs = {q, one};
  layer.weight_type = WeightType::kDot8;
  layer.integer.in_source = graph::QuantizationSource::kTensor;
  layer.output = builder.mutable_graph().AddTensor("sums", builder.shape(float_layer));
  const TensorIndex sums = layer.output;
  builder.mutable_graph().AddNode(std::move(layer));
  const TensorIndex cast = builder.Add(graph::Unary{}, {sums});
  TensorIndex scale = builder.Add(graph::Slice{{0, 0, 0}, {1, 1, 1}}, {range}, {}, {1, 1, 1});
  scale = builder.Reshape(scale, {});
  scale = builder.Scalar(BinaryKind::kMul, scale, 0.0123F);
  const TensorIndex scaled = builder.Binary(BinaryKind::kMul, cast, scale);
  const Shape bias = conv ? Shape{1, 6, 1, 1} : Shape{6};
  const TensorIndex shifted =
      builder.Constant(BinaryKind::kAdd, scaled, bias, builder.Floats(6, -1, 1));
  return builder.Unary(shifted, ActivationKind::kRelu);
}

TEST(ScaleIntegerSums, ADynamicLayerIsOneNode) {
  for (const bool conv : {true, false}) {
    GraphForTest builder;
    const TensorIndex x = builder.Input(conv ? Shape{1, 4, 6, 5} : Shape{5, 8});
    const TensorIndex range = builder.Add(graph::QuantizationRange{}, {x});
    builder.Output(DynamicLayer(builder, x, range, conv));
    // A second reader shares the quantised tensor and its range.
    builder.Output(DynamicLayer(builder, x, range, conv));
    const Graph graph = Rewritten(builder);
    EXPECT_EQ(graph.nodes.size(), 4U) << graph::Dump(graph);
    EXPECT_EQ(IntegerLayers(graph), 2U);
    EXPECT_EQ(graph.nodes.back().activation.kind, ActivationKind::kRelu);
    const Graph rows = *LowerToRows(graph);
    EXPECT_EQ(CountOf(rows, OpKind::kRowExtremes), 1U) << graph::Dump(rows);
    EXPECT_EQ(rows.nodes.size(), 5U) << graph::Dump(rows);
  }
}

TEST(ScaleIntegerSums, ARangeOfAnImageBelongsToIt) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({3, 4, 6, 5});
  const TensorIndex turned = builder.Transpose(x, {0, 2, 3, 1});
  const TensorIndex range = builder.Add(graph::QuantizationRange{}, {turned});
  const TensorIndex q =
      builder.Add(graph::Quantize{{}, graph::QuantizationSource::kTensor}, {turned, range});
  builder.Output(
      builder.Add(graph::Dequantize{{}, graph::QuantizationSource::kTensor}, {q, range}));
  Rewritten(builder);
}

TEST(FuseQuantizedAdd, TakesBothSidesAndTheActivation) {
  GraphForTest builder;
  const Quantization other{1.0F / 32, 100};
  const TensorIndex a = QuantizedInput(builder, {1, 4, 5, 3});
  const TensorIndex b =
      builder.Dequantize(builder.Quantize(builder.Input({1, 4, 5, 3}), other), other);
  TensorIndex sum = builder.Binary(BinaryKind::kAdd, a, b);
  sum = builder.Unary(sum, ActivationKind::kRelu);
  builder.Output(builder.Dequantize(builder.Quantize(sum, kOut), kOut));
  const Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 4U) << graph::Dump(graph);
  EXPECT_EQ(std::get<graph::QuantizedAdd>(graph.nodes[2].attrs),
            (graph::QuantizedAdd{kIn, other, kOut}));
}

TEST(FuseQuantizedAdd, ASumThatOthersReadStays) {
  GraphForTest builder;
  const TensorIndex a = QuantizedInput(builder, {1, 4, 5, 3});
  const TensorIndex b = QuantizedInput(builder, {1, 4, 5, 3});
  const TensorIndex sum = builder.Binary(BinaryKind::kAdd, a, b);
  builder.Output(builder.Dequantize(builder.Quantize(sum, kOut), kOut));
  builder.Output(builder.Unary(sum, ActivationKind::kTanh));
  EXPECT_EQ(CountOf(Rewritten(builder), OpKind::kQuantizedAdd), 0U);
}

TEST(KeepQuantized, MovesIntegers) {
  GraphForTest builder;
  const TensorIndex a = QuantizedInput(builder, {1, 4, 8, 6});
  const TensorIndex b = QuantizedInput(builder, {1, 4, 8, 6});
  TensorIndex y = builder.Add(graph::Concat{1}, {a, b});
  y = builder.Add(graph::Pool{.window = {2, 2, 2, 2}}, {y});
  y = builder.Add(graph::Pad{graph::PadMode::kConstant, -0.5F, {0, 0, 1, 0}, {0, 0, 0, 1}}, {y});
  y = builder.Transpose(builder.Reshape(y, {1, 8, 20}), {0, 2, 1});
  y = builder.Add(graph::Slice{{0, 3, 0}, {1, 2, 1}}, {y}, {}, {1, 8, 8});
  builder.Output(builder.Dequantize(builder.Quantize(y, kIn), kIn));
  const Graph graph = Rewritten(builder);
  EXPECT_EQ(CountOf(graph, OpKind::kQuantize), 2U) << graph::Dump(graph);
  EXPECT_EQ(CountOf(graph, OpKind::kDequantize), 1U) << graph::Dump(graph);
  const Graph rows = *LowerToRows(graph);
  for (const Node& node : rows.nodes) {
    if (node.kind() == OpKind::kPool || node.kind() == OpKind::kConcat) {
      EXPECT_EQ(rows.tensor(node.output).dtype, DType::kUint8) << graph::Dump(rows);
    }
  }
}

TEST(KeepQuantized, OtherParametersStay) {
  GraphForTest builder;
  const TensorIndex x = builder.Reshape(QuantizedInput(builder, {1, 4, 8, 6}), {4, 48});
  builder.Output(builder.Dequantize(builder.Quantize(x, kOut), kOut));
  EXPECT_EQ(CountOf(Rewritten(builder), OpKind::kQuantize), 2U);
}

TEST(FoldPad, IntegersArePaddedByTheirZero) {
  for (const float value : {0.0F, 1.0F}) {
    GraphForTest builder;
    TensorIndex y = QuantizedInput(builder, {1, 4, 5, 5});
    y = builder.Add(graph::Pad{graph::PadMode::kConstant, value, {0, 0, 1, 1}, {0, 0, 1, 1}}, {y});
    y = builder.Dequantize(builder.Quantize(y, kIn), kIn);
    y = QuantizedConv(builder, y, 4, {3, 3}, 1, false);
    builder.Output(builder.Dequantize(builder.Quantize(y, kOut), kOut));
    const Graph graph = Rewritten(builder);
    EXPECT_EQ(CountOf(graph, OpKind::kPad), value == 0 ? 0U : 1U) << graph::Dump(graph);
  }
}

/// A random network, each value quantised and dequantised as models in QDQ form have it.
GraphForTest RandomQuantized(uint32_t seed) {
  GraphForTest builder(seed);
  std::mt19937& random = builder.random();
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::array<Quantization, 3> parameters = {kIn, kOut, {1.0F / 32, 90}};
  const auto quantized = [&](TensorIndex x) {
    const Quantization q = parameters[below(3)];
    return builder.Dequantize(builder.Quantize(x, q), q);
  };
  std::vector<TensorIndex> values = {quantized(builder.Input({2, 4, 6, 6})),
                                     quantized(builder.Input({2, 4, 6, 6}))};
  for (int i = 0; i < 8; ++i) {
    const TensorIndex x = values[below(values.size())];
    const TensorIndex y = values[below(values.size())];
    const graph::Window same{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
    TensorIndex result = x;
    switch (below(6)) {
      case 0:
        result = QuantizedConv(builder, x, 4, same, below(2) == 0 ? 4 : 1, below(2) == 0);
        break;
      case 1:
        result = builder.Binary(BinaryKind::kAdd, x, y);
        break;
      case 2:
        result = builder.Add(graph::Pool{.window = same}, {x});
        break;
      case 3:
        result = builder.Transpose(x, {0, 1, 3, 2});
        break;
      case 4:
        result = builder.Add(graph::Concat{1}, {x, y});
        result = builder.Add(graph::Slice{{0, 2, 0, 0}, {1, 1, 1, 1}}, {result}, {}, {2, 4, 6, 6});
        break;
      default:
        result = builder.Scalar(BinaryKind::kMul, x, 0.5F);
    }
    if (below(3) == 0) result = builder.Unary(result, ActivationKind::kRelu);
    values.push_back(below(5) == 0 ? result : quantized(result));
  }
  builder.Output(builder.Unary(values.back(), ActivationKind::kNone));
  builder.Output(builder.Unary(values[values.size() - 2], ActivationKind::kNone));
  return builder;
}

TEST(QuantizedPipeline, KeepsTheMeaningOfRandomGraphs) {
  size_t layers = 0;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    layers += IntegerLayers(Rewritten(RandomQuantized(seed)));
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(layers, 100U);
}

TEST(ShareCommon, ComparesIntegerSums) {
  GraphForTest builder;
  const TensorIndex x = QuantizedInput(builder, {1, 4, 5, 5});
  for (int i = 0; i < 2; ++i) {
    const TensorIndex y = QuantizedConv(builder, x, 4, {}, 1, false);
    const Quantization out{1.0F / 16, static_cast<uint8_t>(100 + i)};
    builder.Output(builder.Dequantize(builder.Quantize(y, out), out));
    builder.mutable_graph().nodes[2].source = builder.graph().nodes[2].source;
  }
  EXPECT_EQ(IntegerLayers(Rewritten(builder)), 2U);
}

}  // namespace
}  // namespace coracle::passes

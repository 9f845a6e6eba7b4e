#include "graph/verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/dump.h"

namespace coracle::graph {
namespace {

/// 1x8x8x3 -> Conv 3x3 p1 -> 1x8x8x16 -> Conv 1x1 + residual -> out, in rows.
Graph TwoConvs() {
  Graph graph;
  graph.stage = Stage::kRows;
  const TensorIndex x = graph.AddTensor("x", {1, 8, 8, 3});
  const TensorIndex a = graph.AddTensor("a", {1, 8, 8, 16});
  const TensorIndex b = graph.AddTensor("b", {1, 8, 8, 16});
  Node first;
  first.name = "first";
  first.attrs = Conv{{3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 16};
  first.inputs = {x};
  first.output = a;
  first.activation = {ActivationKind::kRelu};
  graph.AddNode(first);
  Node second;
  second.name = "second";
  second.attrs = Conv{{}, 1, 16};
  second.inputs = {a, a};
  second.output = b;
  second.residual = Residual::kBeforeActivation;
  graph.AddNode(second);
  graph.inputs = {{"x", x, {1, 3, 8, 8}, {0, 2, 3, 1}}};
  graph.outputs = {{"y", b, {1, 16, 8, 8}, {0, 2, 3, 1}}};
  return graph;
}

ChunkDescriptor Chunk(uint32_t index, ChunkKind kind, uint32_t bytes) {
  return {static_cast<ChunkIndex>(index), kind, bytes};
}

struct Case {
  const char* name;
  std::function<void(Graph&)> change;
  Code code = Code::kMalformed;
};

TEST(Verify, AcceptsAGoodGraph) {
  Graph graph = TwoConvs();
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  graph.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kPanels, 1024),
                                   Chunk(1, ChunkKind::kPanels, 64)};
  graph.nodes[1].weights.chunks = {Chunk(2, ChunkKind::kPanels, 2048)};
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
}

/// TwoConvs() with a third one, 3x3 over 16 channels.
Graph WithThirdConv(const Conv& conv) {
  Graph graph = TwoConvs();
  Node third;
  third.name = "third";
  third.attrs = conv;
  third.inputs = {graph.outputs[0].tensor};
  third.output = graph.AddTensor("c", {1, 8, 8, 16});
  graph.AddNode(third);
  graph.outputs[0].tensor = third.output;
  return graph;
}

constexpr Window kSame3x3 = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

TEST(Verify, AcceptsWhatWinogradTakes) {
  for (const auto algorithm : {ConvAlgorithm::kWinograd2, ConvAlgorithm::kWinograd4}) {
    const Graph graph = WithThirdConv({kSame3x3, 1, 16, algorithm});
    EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  }
}

TEST(Verify, RefusesWhatWinogradDoesNotTake) {
  Window even = kSame3x3;
  even.kernel_w = 4;
  even.pad_right = 2;
  Window wide = kSame3x3;
  wide.dilation_h = 2;
  wide.pad_top = wide.pad_bottom = 2;
  Window fast = kSame3x3;
  fast.stride_w = 2;
  fast.pad_left = fast.pad_right = 5;
  const Conv wrong[] = {{even, 1, 16}, {wide, 1, 16}, {fast, 1, 16}, {kSame3x3, 2, 16}};
  for (Conv conv : wrong) {
    ASSERT_TRUE(Verify(WithThirdConv(conv)).ok());
    conv.algorithm = ConvAlgorithm::kWinograd4;
    EXPECT_EQ(Verify(WithThirdConv(conv)).error().code, Code::kMalformed);
  }
  Graph channels = TwoConvs();  // the first convolution reads 3
  std::get<Conv>(channels.nodes[0].attrs).algorithm = ConvAlgorithm::kWinograd2;
  EXPECT_EQ(Verify(channels).error().message,
            "Conv 'first': Winograd's algorithm takes 3x3 windows of stride 1 and dilation 1, "
            "without groups, over a multiple of 16 channels");
  EXPECT_FALSE(Verify(WithThirdConv({kSame3x3, 1, 16, static_cast<ConvAlgorithm>(3)})).ok());
}

TEST(Verify, RefusesAnAlgorithmBeforeThereAreRows) {
  Graph graph;
  const TensorIndex x = graph.AddTensor("x", {1, 16, 8, 8});
  Node node;
  node.attrs = Conv{kSame3x3, 1, 16};
  node.inputs = {x};
  node.output = graph.AddTensor("y", {1, 16, 8, 8});
  graph.AddNode(node);
  graph.inputs = {{"x", x, {1, 16, 8, 8}, {0, 1, 2, 3}}};
  graph.outputs = {{"y", node.output, {1, 16, 8, 8}, {0, 1, 2, 3}}};
  ASSERT_TRUE(Verify(graph).ok());
  std::get<Conv>(graph.nodes[0].attrs).algorithm = ConvAlgorithm::kWinograd4;
  EXPECT_EQ(Verify(graph).error().code, Code::kMalformed);
}

class VerifyRefuses : public testing::TestWithParam<Case> {};

TEST_P(VerifyRefuses, WhatIsWrong) {
  Graph graph = TwoConvs();
  GetParam().change(graph);
  const Status status = Verify(graph);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    All, VerifyRefuses,
    testing::Values(
        Case{"NoInputs", [](Graph& g) { g.inputs.clear(); }},
        Case{"NoOutputs", [](Graph& g) { g.outputs.clear(); }},
        Case{"UnknownStage", [](Graph& g) { g.stage = static_cast<Stage>(7); }},
        Case{"EmptyDimension", [](Graph& g) { g.tensors[0].shape.Set(1, 0); }},
        Case{"LongDimension", [](Graph& g) { g.tensors[0].shape.Set(1, kMaxDimension + 1); },
             Code::kUnsupported},
        Case{"HugeTensor",
             [](Graph& g) {
               g.tensors[0].shape = {1U << 20, 1U << 20, 1U << 20, 1U << 20};
             },
             Code::kUnsupported},
        Case{"Scalar", [](Graph& g) { g.tensors[0].shape = {}; }},
        Case{"WrongType", [](Graph& g) { g.tensors[1].dtype = DType::kInt64; }, Code::kUnsupported},
        Case{"LongName", [](Graph& g) { g.nodes[0].name.assign(kMaxNameBytes + 1, 'x'); },
             Code::kUnsupported},
        Case{"ManyNodes", [](Graph& g) { g.nodes.resize(kMaxNodes + 1, g.nodes[0]); },
             Code::kUnsupported},
        Case{"ManyTensors", [](Graph& g) { g.tensors.resize(kMaxTensors + 1, g.tensors[0]); },
             Code::kUnsupported},
        Case{"OutOfOrder", [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }},
        Case{"InputOutOfRange",
             [](Graph& g) { g.nodes[0].inputs[0] = static_cast<TensorIndex>(99); }},
        Case{"OutputOutOfRange",
             [](Graph& g) { g.nodes[0].output = static_cast<TensorIndex>(99); }},
        Case{"TwoProducers", [](Graph& g) { g.nodes[1].output = g.nodes[0].output; }},
        Case{"ProducesAnInput", [](Graph& g) { g.nodes[0].output = g.nodes[0].inputs[0]; }},
        Case{"UncomputedTensor", [](Graph& g) { g.AddTensor("stray", {1}); }},
        Case{"WrongShape", [](Graph& g) { g.tensors[2].shape.Set(1, 7); }},
        Case{"UnknownActivation",
             [](Graph& g) { g.nodes[0].activation.kind = static_cast<ActivationKind>(99); }},
        Case{"ActivationNotANumber",
             [](Graph& g) {
               g.nodes[0].activation = {ActivationKind::kClip, std::nanf(""), 1};
             }},
        Case{"ActivationOnTheWrongKind",
             [](Graph& g) {
               g.nodes[0].attrs = Reshape{};
               g.tensors[1].shape = {1, 8, 8, 3};
               g.nodes[1].attrs = Conv{{}, 1, 3};
               g.tensors[2].shape = {1, 8, 8, 3};
               g.outputs[0].shape = {1, 3, 8, 8};
             }},
        Case{"UnknownResidual", [](Graph& g) { g.nodes[1].residual = static_cast<Residual>(9); }},
        Case{"ResidualOfAnotherShape", [](Graph& g) { g.nodes[1].inputs[1] = g.inputs[0].tensor; }},
        Case{"ResidualMissing", [](Graph& g) { g.nodes[1].inputs.pop_back(); }},
        Case{"ResidualUnmarked", [](Graph& g) { g.nodes[1].residual = Residual::kNone; }},
        Case{"PortPermutation",
             [](Graph& g) {
               g.inputs[0].perm = {0, 2, 2, 1};
             }},
        Case{"PortPermutationRange",
             [](Graph& g) {
               g.inputs[0].perm = {0, 2, 4, 1};
             }},
        Case{"PortShape",
             [](Graph& g) {
               g.inputs[0].shape = {1, 8, 8, 3};
             }},
        Case{"PortTensor", [](Graph& g) { g.outputs[0].tensor = static_cast<TensorIndex>(50); }},
        Case{"PortTwice", [](Graph& g) { g.outputs.push_back(g.outputs[0]); }},
        Case{"LogicalPortPermutation", [](Graph& g) { g.stage = Stage::kLogical; }},
        Case{"ChunkKind",
             [](Graph& g) { g.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kConstant, 64)}; }},
        Case{"ChunkAlignment",
             [](Graph& g) { g.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kPanels, 65)}; }},
        Case{"ChunkEmpty",
             [](Graph& g) { g.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kPanels, 0)}; }},
        Case{"ChunkTooLarge",
             [](Graph& g) {
               g.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kPanels, kMaxChunkBytes + 64)};
             }},
        Case{"ChunkTwice",
             [](Graph& g) {
               g.nodes[0].weights.chunks = {Chunk(3, ChunkKind::kPanels, 64)};
               g.nodes[1].weights.chunks = {Chunk(3, ChunkKind::kPanels, 64)};
             }},
        Case{"WeightOfAnotherShape",
             [](Graph& g) {
               auto source = std::make_shared<WeightSource>();
               auto weight = std::make_shared<Constant>();
               weight->shape = {16, 16, 2, 1};
               source->weight = weight;
               g.nodes[1].source = source;
             }}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(Verify, ChecksScaleAndBias) {
  Graph graph;
  const TensorIndex x = graph.AddTensor("x", {1, 4, 2, 2});
  const TensorIndex y = graph.AddTensor("y", {1, 4, 2, 2});
  Node node;
  node.attrs = Affine{};
  node.inputs = {x};
  node.output = y;
  auto source = std::make_shared<WeightSource>();
  source->scale = {1, 2, 3, 4};
  node.source = source;
  graph.AddNode(node);
  graph.inputs = {{"x", x, {1, 4, 2, 2}, {0, 1, 2, 3}}};
  graph.outputs = {{"y", y, {1, 4, 2, 2}, {0, 1, 2, 3}}};
  EXPECT_TRUE(Verify(graph).ok());
  source->bias = {1, 2};
  EXPECT_EQ(Verify(graph).error().code, Code::kMalformed);
}

/// x -> Quantize -> integer Conv 3x3 -> Dequantize, in rows.
Graph IntegerConv() {
  Graph graph;
  graph.stage = Stage::kRows;
  const TensorIndex x = graph.AddTensor("x", {1, 8, 8, 3});
  const TensorIndex q = graph.AddTensor("q", {1, 8, 8, 3}, DType::kUint8);
  const TensorIndex s = graph.AddTensor("s", {1, 6, 6, 4}, DType::kUint8);
  const TensorIndex y = graph.AddTensor("y", {1, 6, 6, 4});
  Node node;
  node.name = "quantise";
  node.attrs = Quantize{.out = {0.5F, 3}};
  node.inputs = {x};
  node.output = q;
  graph.AddNode(node);
  node.name = "conv";
  node.attrs = Conv{{3, 3}, 1, 4};
  node.inputs = {q};
  node.output = s;
  node.weight_type = WeightType::kDot8;
  node.integer = {QuantizationSource::kConstant, 3, {1, 9}};
  graph.AddNode(node);
  node = {};
  node.name = "dequantise";
  node.attrs = Dequantize{.in = {0.25F, 9}};
  node.inputs = {s};
  node.output = y;
  graph.AddNode(node);
  graph.inputs = {{"x", x, {1, 3, 8, 8}, {0, 2, 3, 1}}};
  graph.outputs = {{"y", y, {1, 4, 6, 6}, {0, 2, 3, 1}}};
  return graph;
}

std::shared_ptr<WeightSource> Int8Source(const Shape& shape) {
  auto bytes = std::make_shared<std::vector<std::byte>>(shape.Elements());
  auto weight = std::make_shared<Constant>();
  weight->dtype = DType::kInt8;
  weight->shape = shape;
  weight->bytes = Bytes(*bytes);
  weight->owner = std::move(bytes);
  auto source = std::make_shared<WeightSource>();
  source->weight = std::move(weight);
  return source;
}

TEST(Verify, AcceptsIntegersBetweenPorts) {
  Graph graph = IntegerConv();
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  graph.nodes[1].source = Int8Source({4, 3, 3, 3});
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  EXPECT_EQ(DumpNode(graph, graph.nodes[1]),
            "%2 conv = Conv(%1 q) 3x3 dot8 in_zero=3 -> *1 zero=9 -> 1x6x6x4 uint8");
}

TEST(Verify, RefusesIntegersWhereTheyDoNotBelong) {
  const auto refused = [](const std::function<void(Graph&)>& change) {
    Graph graph = IntegerConv();
    change(graph);
    const Status status = Verify(graph);
    return !status.ok() && status.error().code == Code::kMalformed;
  };
  EXPECT_FALSE(refused([](Graph&) {}));
  EXPECT_TRUE(refused([](Graph& g) { g.tensors[0].dtype = DType::kUint8; }));
  EXPECT_TRUE(refused([](Graph& g) { g.tensors[1].dtype = DType::kFloat32; }));
  EXPECT_TRUE(refused([](Graph& g) { g.tensors[2].dtype = DType::kFloat32; }));
  EXPECT_TRUE(refused([](Graph& g) { g.tensors[3].dtype = DType::kUint8; }));
  EXPECT_TRUE(refused([](Graph& g) { g.outputs[0].tensor = g.nodes[1].output; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[1].weight_type = WeightType::kFloat32; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[1].weight_type = WeightType::kInt8; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[0].weight_type = WeightType::kInt8; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[0].integer.in_zero = 1; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[1].integer.out.scale = 0; }));
  EXPECT_TRUE(refused([](Graph& g) { g.nodes[1].integer.out.scale = NAN; }));
  EXPECT_TRUE(refused([](Graph& g) {
    g.nodes[1].integer.in_source = QuantizationSource::kTensor;  // and no range
  }));
  Graph typed = IntegerConv();
  typed.tensors[1].dtype = DType::kInt8;
  EXPECT_EQ(Verify(typed).error().code, Code::kUnsupported);
}

TEST(Verify, ChecksWhatIntegerSumsAreMadeOf) {
  const auto verified = [](const std::function<void(WeightSource&)>& change) {
    Graph graph = IntegerConv();
    const auto source = Int8Source({4, 3, 3, 3});
    change(*source);
    graph.nodes[1].source = source;
    return Verify(graph).ok();
  };
  EXPECT_TRUE(verified([](WeightSource& s) { s.weight_zero = {-128, 0, 1, 127}; }));
  EXPECT_FALSE(verified([](WeightSource& s) { s.weight_zero = {-129, 0, 1, 127}; }));
  EXPECT_FALSE(verified([](WeightSource& s) { s.weight_zero = {1}; }));
  EXPECT_TRUE(verified([](WeightSource& s) { s.integer_bias = {1, 2, 3, 4}; }));
  EXPECT_FALSE(verified([](WeightSource& s) { s.integer_bias = {1, 2, 3}; }));
  EXPECT_FALSE(verified([](WeightSource& s) { s.weight_steps = {1, 2, 3, 4}; }));
  EXPECT_FALSE(verified([](WeightSource& s) {
    auto floats = std::make_shared<Constant>(*s.weight);
    floats->dtype = DType::kFloat32;
    s.weight = floats;
  }));
}

TEST(Verify, LimitsTheProductsInASum) {
  Graph graph = IntegerConv();
  graph.tensors[0].shape = graph.tensors[1].shape = {1, 8, 8, 7282};
  graph.inputs[0].shape = {1, 7282, 8, 8};
  EXPECT_NE(Verify(graph).error().message.find("65538 products"), std::string::npos);
  graph.tensors[0].shape = graph.tensors[1].shape = {1, 8, 8, 7281};
  graph.inputs[0].shape = {1, 7281, 8, 8};
  EXPECT_TRUE(Verify(graph).ok());
}

TEST(Verify, SmallerWeightsAreNoDepthwiseConvs) {
  Graph graph = TwoConvs();
  graph.nodes[0].weight_type = WeightType::kInt4;
  graph.nodes[1].weight_type = WeightType::kInt8;
  EXPECT_TRUE(Verify(graph).ok());
  std::get<Conv>(graph.nodes[1].attrs).groups = 16;
  EXPECT_EQ(Verify(graph).error().code, Code::kMalformed);
}

TEST(Verify, CodedChunksAreShorter) {
  for (const uint32_t coded : {0U, 64U, 960U, 1024U, 1000U, 2048U}) {
    Graph graph = TwoConvs();
    graph.nodes[0].weights.chunks = {Chunk(0, ChunkKind::kPanels, 1024)};
    graph.nodes[0].weights.chunks[0].coded_bytes = coded;
    EXPECT_EQ(Verify(graph).ok(), coded < 1000) << coded;
  }
}

TEST(Dump, NamesEverythingThatMatters) {
  Graph graph = TwoConvs();
  EXPECT_EQ(DumpNode(graph, graph.nodes[0]), "%1 first = Conv(%0 x) 3x3 p1 relu -> 1x8x8x16");
  EXPECT_EQ(Dump(graph),
            "graph rows\n"
            "input %0 x: 1x3x8x8 as 1x8x8x3 [0,2,3,1]\n"
            "%1 first = Conv(%0 x) 3x3 p1 relu -> 1x8x8x16\n"
            "%2 second = Conv(%1 a, + %1 a) 1x1 +residual -> 1x8x8x16\n"
            "output %2 y: 1x16x8x8 as 1x8x8x16 [0,2,3,1]\n");
  graph = WithThirdConv({kSame3x3, 1, 16, ConvAlgorithm::kWinograd4});
  EXPECT_EQ(DumpNode(graph, graph.nodes[2]), "%3 third = Conv(%2 b) 3x3 p1 winograd4 -> 1x8x8x16");
}

}  // namespace
}  // namespace coracle::graph

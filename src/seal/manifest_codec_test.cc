#include "seal/manifest_codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/index.h"
#include "graph/dump.h"
#include "graph/infer.h"
#include "graph/verify.h"
#include "seal/format.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

using graph::Attributes;
using graph::Node;
using graph::TensorIndex;

/// The small manifest as the writer would hand it on: with a chunk table.
Manifest WithChunkTable() {
  Manifest manifest = SmallManifest();
  for (const Node& node : manifest.graph.nodes) {
    for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
      ChunkRecord record{.bytes = chunk.SealedBytes()};
      record.tag[0] = static_cast<std::byte>(Position(chunk.index));
      manifest.chunks.push_back(record);
    }
  }
  return manifest;
}

/// Appends a node whose output shape is the inferred one (or `declared`), as a graph output too.
TensorIndex AppendNode(graph::Graph& graph, Node node, Shape declared = {},
                       DType dtype = DType::kFloat32) {
  node.name = std::to_string(graph.nodes.size());
  std::vector<Shape> shapes;
  for (const TensorIndex input : node.inputs) shapes.push_back(graph.shape(input));
  const auto shape = graph::InferShape(node, shapes, graph::Stage::kRows, declared);
  CORACLE_CHECK(shape.ok());
  std::vector<DType> dtypes;
  for (const TensorIndex input : node.inputs) dtypes.push_back(graph.tensor(input).dtype);
  const auto element = graph::InferDType(node, dtypes, dtype);
  CORACLE_CHECK(element.ok());
  node.output = graph.AddTensor(node.name, *shape, *element);
  graph.AddNode(node);
  // Integers are no port's.
  if (*element != DType::kFloat32) return node.output;
  graph::Port port{.name = node.name, .tensor = node.output, .shape = *shape, .perm = {}};
  for (uint32_t axis = 0; axis < shape->rank(); ++axis) port.perm.push_back(axis);
  graph.outputs.push_back(port);
  return node.output;
}

TensorIndex Append(graph::Graph& graph, Attributes attrs, std::vector<TensorIndex> inputs,
                   Shape declared = {}) {
  Node node;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  return AppendNode(graph, std::move(node), declared);
}

/// The quantised operators, and layers of each weight type, on tensors of integers.
void AppendQuantised(graph::Graph& g, TensorIndex x) {
  const graph::Quantization some{.scale = 0.5F, .zero = 7};
  const TensorIndex q = Append(g, graph::Quantize{.out = some}, {x});
  const TensorIndex pooled = Append(
      g, graph::Pool{.kind = graph::PoolKind::kMax, .window = {.kernel_h = 2, .kernel_w = 2}}, {q});
  Append(g, graph::Dequantize{.in = some}, {pooled});
  Append(g, graph::QuantizedAdd{.a = some, .b = {.scale = 2, .zero = 1}, .out = some}, {q, q});
  const TensorIndex extremes = Append(g, graph::RowExtremes{}, {x});
  const TensorIndex range = Append(g, graph::QuantizationRange{}, {extremes});
  constexpr auto kByRange = graph::QuantizationSource::kTensor;
  const TensorIndex dynamic = Append(g, graph::Quantize{.out = {}, .source = kByRange}, {x, range});
  Append(g, graph::Dequantize{.in = {}, .source = kByRange}, {dynamic, range});

  Node sums;
  sums.attrs = graph::Conv{.window = {}, .out_channels = 6};
  sums.inputs = {dynamic, range};
  sums.weight_type = graph::WeightType::kDot8;
  sums.integer.in_source = kByRange;
  AppendNode(g, sums);
  sums.attrs = graph::Dense{.out_features = 5};
  sums.inputs = {q};
  sums.integer = {.in_source = graph::QuantizationSource::kConstant, .in_zero = 7, .out = some};
  AppendNode(g, sums, {}, DType::kUint8);
  for (const auto type : {graph::WeightType::kInt8, graph::WeightType::kInt4}) {
    Node smaller;
    smaller.attrs = graph::Dense{.out_features = 4};
    smaller.inputs = {x};
    smaller.weight_type = type;
    AppendNode(g, smaller);
  }
}

/// One node of every operator, each attribute different from its default where that is valid.
Manifest EveryOperator() {
  Manifest manifest;
  manifest.name = "every operator";
  graph::Graph& g = manifest.graph;
  g.stage = graph::Stage::kRows;
  const TensorIndex x = g.AddTensor("x", Shape{1, 8, 8, 36});
  g.inputs = {{.name = "x", .tensor = x, .shape = Shape{1, 36, 8, 8}, .perm = {0, 2, 3, 1}}};
  graph::Window window{.kernel_h = 3,
                       .kernel_w = 2,
                       .stride_h = 2,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 2,
                       .pad_top = 1,
                       .pad_left = 1,
                       .pad_bottom = 1,
                       .pad_right = 1};
  const TensorIndex conv =
      Append(g, graph::Conv{.window = window, .groups = 2, .out_channels = 6}, {x});
  g.nodes.back().activation = {.kind = graph::ActivationKind::kClip,
                               .a = -0.0F,
                               .b = std::numeric_limits<float>::infinity()};
  window.dilation_w = 1;
  Append(
      g,
      graph::ConvTranspose{
          .window = window, .groups = 1, .out_channels = 5, .output_pad_h = 1, .output_pad_w = 0},
      {conv});
  const TensorIndex projected = Append(g, graph::Conv{.window = {}, .out_channels = 16}, {x});
  for (const auto algorithm :
       {graph::ConvAlgorithm::kWinograd2, graph::ConvAlgorithm::kWinograd4}) {
    graph::Conv same{.window = {.kernel_h = 3, .kernel_w = 3}, .out_channels = 5};
    same.algorithm = algorithm;
    Append(g, same, {projected});
  }
  Append(g, graph::Dense{.out_features = 7}, {x});
  const TensorIndex rows = Append(g, graph::Reshape{}, {x}, Shape{1, 64, 36});
  Append(g, graph::MatMul{.transpose_b = graph::TransposeB::kYes, .scale = 0.25F}, {rows, rows});
  Append(g,
         graph::Pool{.kind = graph::PoolKind::kAverage,
                     .counting = graph::PadCounting::kIncludePad,
                     .window = {.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2}},
         {x});
  Append(g, graph::Reduce{.kind = graph::ReduceKind::kMax, .axes = {1, 2}}, {x});
  Append(g, graph::LayerNorm{.epsilon = 1e-3F}, {x});
  Append(g, graph::Affine{}, {x});
  Append(g, graph::Unary{}, {x});
  g.nodes.back().activation = {.kind = graph::ActivationKind::kLeakyRelu, .a = 0.1F, .b = 0};
  Append(g,
         graph::Binary{.kind = graph::BinaryKind::kDiv,
                       .operands = graph::Operands::kConstantLeft,
                       .constant_shape = Shape{36}},
         {x});
  Append(g, graph::Softmax{.axis = 3}, {x});
  Append(g,
         graph::Resize{.mode = graph::ResizeMode::kLinear,
                       .coordinates = graph::ResizeCoordinates::kHalfPixel,
                       .rounding = graph::NearestRounding::kFloor,
                       .scale_h = 2,
                       .scale_w = 2},
         {x}, Shape{1, 16, 16, 36});
  Append(g, graph::Concat{.axis = 3}, {x, x});
  Append(g, graph::Slice{.starts = {0, 1, 7, 0}, .steps = {1, 1, -1, 2}}, {x}, Shape{1, 4, 8, 18});
  Append(g, graph::Transpose{.perm = {0, 2, 1, 3}}, {x});
  Append(g,
         graph::Pad{.mode = graph::PadMode::kEdge,
                    .value = 0.5F,
                    .before = {0, 1, 0, 0},
                    .after = {0, 0, 2, 0}},
         {x});
  Append(g, graph::Reorg{.stride = 2}, {x});
  Append(g,
         graph::DetectionHead{
             .kind = graph::DetectionHeadKind::kYolo, .boxes = 3, .classes = 7, .softmax = 0},
         {x});
  const TensorIndex steps = Append(g, graph::Reshape{}, {x}, Shape{2, 12, 96});
  const TensorIndex state =
      Append(g, graph::Slice{.starts = {0, 3, 9}, .steps = {1, 1, 1}}, {steps}, Shape{2, 1, 24});
  Append(g,
         graph::Recurrence{.cell = graph::CellKind::kLstm,
                           .hidden = 24,
                           .order = graph::TimeOrder::kBackward,
                           .initial = graph::InitialState::kTensors,
                           .clip = 3},
         {steps, state, state});
  Append(
      g,
      graph::Attention{
          .scale = 0.5F, .mask = graph::AttentionMask::kConstant, .mask_shape = Shape{1, 8, 1, 8}},
      {x, x, x});
  AppendQuantised(g, x);
  return manifest;
}

TEST(ManifestCodecTest, RoundTripsByteByByte) {
  for (const Manifest& manifest : {WithChunkTable(), EveryOperator()}) {
    const auto verified = graph::Verify(manifest.graph);
    ASSERT_TRUE(verified.ok()) << verified.error().message;
    const std::vector<std::byte> plain = EncodeManifest(manifest);
    EXPECT_EQ(plain.size() % 64, 0U);
    const auto decoded = DecodeManifest(plain);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(EncodeManifest(*decoded), plain);
    EXPECT_EQ(graph::Dump(decoded->graph), graph::Dump(manifest.graph));
    ASSERT_EQ(decoded->graph.nodes.size(), manifest.graph.nodes.size());
    for (size_t i = 0; i < manifest.graph.nodes.size(); ++i) {
      EXPECT_EQ(decoded->graph.nodes[i].attrs, manifest.graph.nodes[i].attrs) << i;
      EXPECT_EQ(decoded->graph.nodes[i].activation, manifest.graph.nodes[i].activation) << i;
      EXPECT_EQ(decoded->graph.nodes[i].weights, manifest.graph.nodes[i].weights) << i;
      EXPECT_EQ(decoded->graph.nodes[i].weight_type, manifest.graph.nodes[i].weight_type) << i;
      EXPECT_EQ(decoded->graph.nodes[i].integer, manifest.graph.nodes[i].integer) << i;
    }
    EXPECT_EQ(decoded->graph.tensors, manifest.graph.tensors);
    EXPECT_EQ(decoded->graph.inputs, manifest.graph.inputs);
    EXPECT_EQ(decoded->graph.outputs, manifest.graph.outputs);
    EXPECT_EQ(decoded->labels, manifest.labels);
    EXPECT_EQ(decoded->decode, manifest.decode);
  }
}

TEST(ManifestCodecTest, EveryOperatorIsCovered) {
  std::vector<bool> seen(graph::kOpKindCount, false);
  for (const Node& node : EveryOperator().graph.nodes) seen[node.attrs.index()] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0);
}

TEST(ManifestCodecTest, OffsetsFollowFromLengths) {
  const auto decoded = DecodeManifest(EncodeManifest(WithChunkTable()));
  ASSERT_TRUE(decoded.ok());
  uint64_t offset = kHeaderBytes;
  for (const ChunkRecord& chunk : decoded->chunks) {
    EXPECT_EQ(chunk.offset, offset);
    offset += chunk.bytes;
  }
  EXPECT_EQ(ChunksEnd(*decoded), offset);
  EXPECT_EQ(ChunksEnd(EveryOperator()), kHeaderBytes);
}

TEST(ManifestCodecTest, WhatIsAcceptedAfterAChangeIsStillCanonical) {
  for (const Manifest& manifest : {WithChunkTable(), EveryOperator()}) {
    std::vector<std::byte> plain = EncodeManifest(manifest);
    for (size_t bit = 0; bit < 8 * plain.size(); ++bit) {
      plain[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      const auto decoded = DecodeManifest(plain);
      if (decoded.ok()) {
        ASSERT_EQ(EncodeManifest(*decoded), plain) << bit;
      }
      plain[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
  }
}

TEST(ManifestCodecTest, EveryTruncationAndExtensionIsRefused) {
  const std::vector<std::byte> plain = EncodeManifest(WithChunkTable());
  for (size_t size = 0; size < plain.size(); ++size) {
    EXPECT_FALSE(DecodeManifest(Bytes(plain).first(size)).ok()) << size;
  }
  for (const size_t extra : {size_t{1}, size_t{64}, size_t{128}}) {
    std::vector<std::byte> longer = plain;
    longer.resize(plain.size() + extra);
    EXPECT_FALSE(DecodeManifest(longer).ok()) << extra;
  }
}

TEST(ManifestCodecTest, PaddingIsZero) {
  Manifest manifest = WithChunkTable();
  while (EncodeManifest(manifest).back() != std::byte{0}) manifest.name += "x";
  std::vector<std::byte> plain = EncodeManifest(manifest);
  ASSERT_TRUE(DecodeManifest(plain).ok());
  plain.back() = std::byte{1};
  EXPECT_EQ(DecodeManifest(plain).error().code, Code::kMalformed);
}

TEST(ManifestCodecTest, RefusesWhatTheTablesDoNotAgreeOn) {
  const auto refused = [](void (*change)(Manifest&)) {
    Manifest manifest = WithChunkTable();
    change(manifest);
    return !DecodeManifest(EncodeManifest(manifest)).ok();
  };
  EXPECT_FALSE(refused([](Manifest&) {}));
  EXPECT_TRUE(refused([](Manifest& m) { m.chunks.pop_back(); }));
  EXPECT_TRUE(refused([](Manifest& m) { m.chunks.push_back(m.chunks.back()); }));
  EXPECT_TRUE(refused([](Manifest& m) { m.chunks[0].bytes = 0; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.chunks[0].bytes += 1; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.chunks[0].bytes = graph::kMaxChunkBytes + 64; }));
  EXPECT_TRUE(refused([](Manifest& m) { std::swap(m.chunks[0], m.chunks[1]); }));
  EXPECT_TRUE(refused([](Manifest& m) {
    m.graph.nodes[0].activation.a = std::numeric_limits<float>::quiet_NaN();
  }));
  EXPECT_TRUE(refused([](Manifest& m) { m.graph.nodes[0].inputs = {TensorIndex{99}}; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.preprocess.assign(kMaxJsonBytes + 1, ' '); }));
  EXPECT_TRUE(refused([](Manifest& m) { m.labels.assign(kMaxLabels + 1, ""); }));
}

TEST(ManifestCodecTest, CodedChunksAreShorterThanPlainOnes) {
  const auto first_chunk = [](uint32_t coded_bytes, uint32_t table_bytes) {
    Manifest manifest = WithChunkTable();
    manifest.graph.nodes[0].weights.chunks[0].coded_bytes = coded_bytes;
    manifest.chunks[0].bytes = table_bytes;
    return DecodeManifest(EncodeManifest(manifest));
  };
  const uint32_t bytes = SmallManifest().graph.nodes[0].weights.chunks[0].bytes;
  const auto coded = first_chunk(bytes - 64, bytes - 64);
  ASSERT_TRUE(coded.ok());
  EXPECT_EQ(coded->chunks[0].bytes, bytes - 64);
  EXPECT_EQ(coded->chunks[0].plain_bytes, bytes);
  EXPECT_EQ(coded->chunks[1].offset, coded->chunks[0].offset + bytes - 64);
  EXPECT_FALSE(first_chunk(bytes - 64, bytes).ok());
  EXPECT_FALSE(first_chunk(bytes, bytes).ok());
  EXPECT_FALSE(first_chunk(bytes + 64, bytes + 64).ok());
  EXPECT_FALSE(first_chunk(bytes - 60, bytes - 60).ok());
}

TEST(ManifestCodecTest, NoiseIsRefused) {
  std::mt19937_64 random(1);
  for (int turn = 0; turn < 2000; ++turn) {
    std::vector<std::byte> plain(64 * (1 + random() % 16));
    for (std::byte& byte : plain) byte = static_cast<std::byte>(random() % 4);
    EXPECT_FALSE(DecodeManifest(plain).ok());
  }
}

}  // namespace
}  // namespace coracle::seal

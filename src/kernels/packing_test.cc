#include "kernels/packing.h"

#include <cstring>
#include <memory>
#include <random>

#include "base/checked.h"
#include "gtest/gtest.h"
#include "kernels/kernel.h"

namespace coracle::kernels {
namespace {

using graph::ChunkDescriptor;
using graph::Graph;
using graph::Node;

struct PackedNode {
  Graph graph;
  Node node;
};

std::shared_ptr<const graph::Constant> MakeWeight(const Shape& shape) {
  auto values = std::make_shared<std::vector<float>>(shape.Elements());
  for (size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<float>(i + 1);
  auto constant = std::make_shared<graph::Constant>();
  constant->shape = shape;
  constant->bytes = std::as_bytes(std::span(*values));
  constant->owner = values;
  return constant;
}

PackedNode MakeNode(graph::Attributes attrs, const Shape& in, const Shape& out,
                    const Shape& weight) {
  PackedNode made;
  made.graph.stage = graph::Stage::kRows;
  made.node.name = "node";
  made.node.attrs = std::move(attrs);
  made.node.inputs = {made.graph.AddTensor("in", in)};
  made.node.output = made.graph.AddTensor("out", out);
  auto source = std::make_shared<graph::WeightSource>();
  if (weight.rank() > 0) source->weight = MakeWeight(weight);
  made.node.source = source;
  made.node.weights = CutIntoChunks(made.graph, made.node, graph::ChunkIndex{7});
  return made;
}

PackedNode MakeConv(uint32_t inputs, uint32_t outputs, uint32_t kernel, uint32_t groups) {
  graph::Conv conv;
  conv.groups = groups;
  conv.out_channels = outputs;
  conv.window.kernel_h = kernel;
  conv.window.kernel_w = kernel;
  return MakeNode(conv, {1, 9, 9, inputs}, {1, 9, 9, outputs},
                  {outputs, inputs / groups, kernel, kernel});
}

PackedNode MakeDense(uint32_t inputs, uint32_t outputs) {
  return MakeNode(graph::Dense{outputs}, {1, inputs}, {1, outputs}, {inputs, outputs});
}

/// Every value of every chunk, in order.
std::vector<float> PackAll(const PackedNode& made) {
  std::vector<float> all;
  for (const ChunkDescriptor& chunk : made.node.weights.chunks) {
    std::vector<float> text(chunk.bytes / sizeof(float), -1);
    PackChunk(made.graph, made.node, chunk, std::as_writable_bytes(std::span(text)));
    all.insert(all.end(), text.begin(), text.end());
  }
  return all;
}

/// Each weight 1..n occurs once, all else is zero (biases and padding).
void ExpectEveryWeightOnce(const PackedNode& made, uint64_t count) {
  std::vector<uint32_t> seen(count + 1);
  for (float value : PackAll(made)) {
    ASSERT_GE(value, 0);
    ASSERT_LE(value, static_cast<float>(count));
    ++seen[static_cast<size_t>(value)];
  }
  for (uint64_t i = 1; i <= count; ++i) ASSERT_EQ(seen[i], 1U) << i;
}

/// K is cut only in panels past 160 KiB, and then into near-equal runs.
TEST(Packing, KeepsPanelsWholeThatAreNotLarge) {
  for (const auto& [inputs, chunks, k_first] : std::vector<std::array<uint32_t, 3>>{
           {256, 2, 256}, {512, 2, 512}, {639, 2, 639}, {640, 4, 320}, {992, 4, 496}}) {
    const PackedNode made = MakeConv(inputs, 128, 1, 1);
    SCOPED_TRACE(inputs);
    ASSERT_EQ(made.node.weights.chunks.size(), chunks);
    EXPECT_EQ(made.node.weights.chunks[0].k_count, k_first);
    EXPECT_TRUE(CheckLayout(made.graph, made.node, made.node.weights).ok());
  }
}

TEST(Packing, HoldsEveryWeightOnce) {
  for (const auto& [inputs, outputs, kernel, groups] :
       std::vector<std::array<uint32_t, 4>>{{3, 24, 3, 1},
                                            {40, 100, 3, 1},
                                            {64, 64, 1, 1},
                                            {300, 70, 5, 1},
                                            {32, 48, 3, 4},
                                            {33, 33, 3, 33},
                                            {600, 600, 5, 600}}) {
    const PackedNode made = MakeConv(inputs, outputs, kernel, groups);
    EXPECT_TRUE(CheckLayout(made.graph, made.node, made.node.weights).ok());
    ExpectEveryWeightOnce(made, uint64_t{outputs} * (inputs / groups) * kernel * kernel);
  }
  ExpectEveryWeightOnce(MakeDense(1500, 130), 1500 * 130);
}

TEST(Packing, TransposedPhasesHoldEveryWeightOnce) {
  for (const auto& [kernel, stride, dilation, pad] : std::vector<std::array<uint32_t, 4>>{
           {2, 2, 1, 0}, {4, 2, 1, 1}, {3, 2, 1, 1}, {3, 3, 2, 0}, {2, 4, 1, 0}, {5, 2, 2, 2}}) {
    graph::ConvTranspose conv;
    conv.groups = 2;
    conv.out_channels = 80;
    conv.window = {.kernel_h = kernel,
                   .kernel_w = kernel,
                   .stride_h = stride,
                   .stride_w = stride,
                   .dilation_h = dilation,
                   .dilation_w = dilation,
                   .pad_top = pad,
                   .pad_left = pad};
    const PackedNode made = MakeNode(conv, {1, 5, 5, 12}, {1, 9, 9, 80}, {12, 40, kernel, kernel});
    EXPECT_TRUE(CheckLayout(made.graph, made.node, made.node.weights).ok());
    ExpectEveryWeightOnce(made, uint64_t{12} * 40 * kernel * kernel);
  }
}

TEST(Packing, PlacesConvWeightsTapByTap) {
  const PackedNode made = MakeConv(5, 20, 3, 1);
  const std::vector<float> text = PackAll(made);
  const PanelGeometry panel = PanelAt(made.graph, made.node, 0);
  EXPECT_EQ(panel.width, 32U);
  EXPECT_EQ(panel.k_count, 45U);
  for (uint32_t k = 0; k < 45; ++k) {
    for (uint32_t n = 0; n < 20; ++n) {
      const uint32_t tap = k / 5, input = k % 5;
      const auto weight = static_cast<float>((n * 5 + input) * 9 + tap + 1);
      ASSERT_EQ(text[(k + 1) * 32 + n], weight);
    }
  }
}

TEST(Packing, ReordersAFlattenedDense) {
  PackedNode made = MakeDense(2 * 3 * 4, 16);
  auto source = std::make_shared<graph::WeightSource>(*made.node.source);
  source->flattened_from = {2, 3, 4};  // C, H, W
  source->scale.assign(16, 2);
  source->bias.assign(16, 5);
  made.node.source = source;
  const std::vector<float> text = PackAll(made);
  EXPECT_EQ(text[3], 5);
  // K row 1 is channel 1 of pixel (0, 0): the owner's row 12.
  EXPECT_EQ(text[2 * 16], 2 * (12 * 16 + 1));
}

TEST(Packing, PlacesDepthwiseWeights) {
  const PackedNode made = MakeConv(20, 20, 3, 20);
  const std::vector<float> text = PackAll(made);
  ASSERT_EQ(made.node.weights.chunks.size(), 1U);
  EXPECT_EQ(made.node.weights.chunks[0].kind, graph::ChunkKind::kDepthwise);
  EXPECT_EQ(text[(4 + 1) * 32 + 17], 17 * 9 + 4 + 1);
}

TEST(Packing, ConstantBlocksArePaddedByChannel) {
  PackedNode made = MakeNode(graph::Affine{}, {1, 2, 2, 18}, {1, 2, 2, 18}, {});
  auto source = std::make_shared<graph::WeightSource>();
  source->bias.assign(18, 3);
  made.node.source = source;
  EXPECT_EQ(ConstantBlockBytes(made.graph, made.node), 2U * 32 * 4);
  const std::vector<float> text = PackAll(made);
  ASSERT_EQ(text.size(), 64U);
  EXPECT_EQ(text[17], 1);
  EXPECT_EQ(text[18], 0);
  EXPECT_EQ(text[32 + 17], 3);
  EXPECT_EQ(text[32 + 18], 0);
}

TEST(Packing, CutsALargeConstantIntoConsecutivePieces) {
  graph::Binary binary{.operands = graph::Operands::kConstantRight, .constant_shape = {99, 301}};
  const PackedNode made = MakeNode(binary, {99, 301}, {99, 301}, {99, 301});
  EXPECT_GT(made.node.weights.chunks.size(), 1U);
  EXPECT_TRUE(CheckLayout(made.graph, made.node, made.node.weights).ok());
  const std::vector<float> text = PackAll(made);
  EXPECT_EQ(text.size(), RoundUp(99 * 301, 16));
  for (size_t i = 0; i < 99 * 301; ++i) ASSERT_EQ(text[i], static_cast<float>(i + 1));
}

TEST(Packing, ChunkSizesFollowTheLayer) {
  EXPECT_LE(MakeDense(256, 128).node.weights.LargestChunkBytes(), 65U * 1024);
  EXPECT_FALSE(MakeDense(256, 128).node.weights.SplitsK());
  EXPECT_LE(MakeDense(400, 400).node.weights.LargestChunkBytes(), 129U * 1024);
  const PackedNode large = MakeDense(4096, 512);
  EXPECT_LE(large.node.weights.LargestChunkBytes(), 256U * 1024);
  EXPECT_TRUE(large.node.weights.SplitsK());
  for (const ChunkDescriptor& chunk : large.node.weights.chunks) EXPECT_EQ(chunk.k_begin % 8, 0U);
  EXPECT_EQ(large.node.weights.chunks[0].index, graph::ChunkIndex{7});
  EXPECT_EQ(large.node.weights.chunks[1].index, graph::ChunkIndex{8});
}

TEST(Packing, ReluHasNoWeights) {
  const PackedNode made = MakeNode(graph::Unary{}, {1, 8}, {1, 8}, {});
  EXPECT_TRUE(made.node.weights.chunks.empty());
  EXPECT_TRUE(CheckLayout(made.graph, made.node, {}).ok());
  EXPECT_FALSE(CheckLayout(made.graph, made.node, MakeDense(8, 8).node.weights).ok());
}

/// Any change to any field of any chunk of a layout is refused.
void ExpectEveryChangeRefused(const PackedNode& made) {
  const auto refused = [&made](const graph::WeightLayout& layout) {
    const Status status = CheckLayout(made.graph, made.node, layout);
    return !status.ok();
  };
  ASSERT_FALSE(refused(made.node.weights));
  for (size_t i = 0; i < made.node.weights.chunks.size(); ++i) {
    for (uint32_t ChunkDescriptor::*field :
         {&ChunkDescriptor::bytes, &ChunkDescriptor::panel_begin, &ChunkDescriptor::panel_count,
          &ChunkDescriptor::k_begin, &ChunkDescriptor::k_count}) {
      for (uint32_t delta : {1U, 64U, ~0U, 0x80000000U}) {
        graph::WeightLayout layout = made.node.weights;
        layout.chunks[i].*field += delta;
        EXPECT_TRUE(refused(layout));
      }
    }
    graph::WeightLayout layout = made.node.weights;
    layout.chunks.erase(layout.chunks.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_TRUE(refused(layout));
    layout = made.node.weights;
    layout.chunks.push_back(layout.chunks[i]);
    EXPECT_TRUE(refused(layout));
    layout = made.node.weights;
    layout.chunks[i].kind =
        static_cast<graph::ChunkKind>((static_cast<uint8_t>(layout.chunks[i].kind) + 1) % 3);
    EXPECT_TRUE(refused(layout));
  }
}

TEST(CheckLayout, RefusesEveryChange) {
  ExpectEveryChangeRefused(MakeDense(4096, 200));
  ExpectEveryChangeRefused(MakeConv(40, 100, 3, 1));
  ExpectEveryChangeRefused(MakeConv(600, 600, 9, 600));
  ExpectEveryChangeRefused(MakeNode(graph::LayerNorm{}, {1, 2, 48}, {1, 2, 48}, {}));
}

TEST(CheckLayout, AcceptsAnyCompleteCutting) {
  const PackedNode made = MakeDense(10, 64);
  graph::WeightLayout layout;
  for (uint32_t k = 0; k < 10; ++k) {
    ChunkDescriptor chunk{.bytes = (k == 0 ? 2U : 1U) * 256};
    chunk.panel_count = 1;
    chunk.k_begin = k;
    chunk.k_count = 1;
    layout.chunks.push_back(chunk);
  }
  EXPECT_TRUE(CheckLayout(made.graph, made.node, layout).ok());
}

TEST(Queries, CountArithmeticAndWorkspace) {
  const PackedNode conv = MakeConv(8, 32, 3, 2);
  EXPECT_EQ(MultiplyAdds(conv.graph, conv.node), uint64_t{81} * 32 * 9 * 4);
  EXPECT_EQ(WorkspaceBytes(conv.graph, conv.node) % 64, 0U);
  EXPECT_FALSE(InPlaceAllowed(conv.graph, conv.node, 0));
  PackedNode dense = MakeDense(64, 64);
  dense.node.inputs.push_back(dense.graph.AddTensor("residual", {1, 64}));
  EXPECT_FALSE(InPlaceAllowed(dense.graph, dense.node, 1));
  dense.node.residual = graph::Residual::kBeforeActivation;
  EXPECT_TRUE(InPlaceAllowed(dense.graph, dense.node, 1));
  dense.node.weights = MakeDense(4096, 512).node.weights;
  EXPECT_FALSE(InPlaceAllowed(dense.graph, dense.node, 1));
}

/// A kDot8 node: every chunk's panels are read back, and say the weights that went in.
PackedNode MakeDot8(graph::Attributes attrs, const Shape& in, const Shape& out, const Shape& weight,
                    graph::QuantizationSource source) {
  PackedNode made;
  made.graph.stage = graph::Stage::kRows;
  Node& node = made.node;
  node.name = "node";
  node.attrs = std::move(attrs);
  node.inputs = {made.graph.AddTensor("in", in, DType::kUint8)};
  node.output = made.graph.AddTensor("out", out, DType::kUint8);
  node.weight_type = graph::WeightType::kDot8;
  node.integer.in_source = source;
  node.integer.in_zero = source == graph::QuantizationSource::kConstant ? 3 : 0;
  auto values = std::make_shared<std::vector<int8_t>>(weight.Elements());
  for (size_t i = 0; i < values->size(); ++i) {
    (*values)[i] = static_cast<int8_t>(i * 37 % 256 - 128);
  }
  auto constant = std::make_shared<graph::Constant>();
  constant->dtype = DType::kInt8;
  constant->shape = weight;
  constant->bytes = std::as_bytes(std::span(*values));
  constant->owner = values;
  auto origin = std::make_shared<graph::WeightSource>();
  origin->weight = constant;
  origin->dense_order = graph::DenseOrder::kOutputsByInputs;
  for (uint32_t n = 0; n < weight[0]; ++n) {
    origin->scale.push_back(static_cast<float>(n + 1));
    origin->bias.push_back(-static_cast<float>(n));
    origin->weight_zero.push_back(static_cast<int32_t>(n % 5) - 2);
    origin->integer_bias.push_back(static_cast<int32_t>(1000 * n));
  }
  node.source = origin;
  node.weights = CutIntoChunks(made.graph, node, graph::ChunkIndex{7});
  return made;
}

template <typename Value>
Value ValueAt(const std::vector<std::byte>& text, size_t offset, size_t index) {
  Value value;
  std::memcpy(&value, text.data() + offset + index * sizeof(Value), sizeof(Value));
  return value;
}

/// One output channel's weights in K order: taps outer, input channels inner.
std::vector<int32_t> WeightsOf(const Node& node, uint32_t channel) {
  const Shape& shape = node.source->weight->shape;
  const uint32_t taps = shape.rank() == 4 ? shape[2] * shape[3] : 1;
  const uint32_t inputs = shape[1];
  std::vector<int32_t> out;
  for (uint32_t tap = 0; tap < taps; ++tap) {
    for (uint32_t c = 0; c < inputs; ++c) {
      const size_t at = (size_t{channel} * inputs + c) * taps + tap;
      out.push_back(static_cast<int8_t>(node.source->weight->bytes[at]));
    }
  }
  return out;
}

void ExpectDot8Panels(const PackedNode& made) {
  const Node& node = made.node;
  ASSERT_TRUE(CheckLayout(made.graph, node, node.weights).ok());
  const bool dynamic = node.integer.in_source == graph::QuantizationSource::kTensor;
  const uint32_t rows = dynamic ? 5 : 4;
  for (const ChunkDescriptor& chunk : node.weights.chunks) {
    std::vector<std::byte> text(chunk.bytes, std::byte{0xEE});
    PackChunk(made.graph, node, chunk, text);
    size_t offset = 0;
    for (uint32_t p = 0; p < chunk.panel_count; ++p) {
      const PanelGeometry panel = PanelAt(made.graph, node, chunk.panel_begin + p);
      const size_t weights = offset + size_t{rows} * panel.width * 4;
      for (uint32_t n = 0; n < panel.channel_count; ++n) {
        const uint32_t channel = panel.channel_begin + n;
        const std::vector<int32_t> want = WeightsOf(node, channel);
        const int32_t zero = node.source->weight_zero[channel];
        int32_t sum = 0;
        for (uint32_t k = 0; k < chunk.k_count; ++k) {
          const size_t at = (k / 4 * panel.width + n) * 4 + k % 4;
          ASSERT_EQ(ValueAt<int8_t>(text, weights, at), want[chunk.k_begin + k]);
          sum += want[chunk.k_begin + k] - zero;
        }
        const int32_t bias = chunk.k_begin == 0 ? node.source->integer_bias[channel] : 0;
        EXPECT_EQ(ValueAt<int32_t>(text, offset, n), dynamic ? bias : bias - 3 * sum);
        const size_t row = panel.width;
        EXPECT_EQ(ValueAt<float>(text, offset, row + n), node.source->scale[channel]);
        EXPECT_EQ(ValueAt<float>(text, offset, 2 * row + n), node.source->bias[channel]);
        EXPECT_EQ(ValueAt<int32_t>(text, offset, 3 * row + n), zero);
        if (dynamic) {
          EXPECT_EQ(ValueAt<int32_t>(text, offset, 4 * row + n), sum);
        }
      }
      offset = weights + size_t{panel.width} * RoundUpToMultiple(chunk.k_count, 4);
    }
    EXPECT_EQ(offset, chunk.bytes);
  }
}

TEST(Packing, Dot8PanelsHoldWeightsInFoursAndTheirSums) {
  for (const auto source :
       {graph::QuantizationSource::kConstant, graph::QuantizationSource::kTensor}) {
    for (const auto& [inputs, outputs, kernel] : std::vector<std::array<uint32_t, 3>>{
             {3, 24, 7}, {64, 200, 1}, {512, 70, 3}, {17, 33, 3}}) {
      graph::Conv conv;
      conv.out_channels = outputs;
      conv.window.kernel_h = conv.window.kernel_w = kernel;
      ExpectDot8Panels(MakeDot8(conv, {1, 9, 9, inputs}, {1, 9, 9, outputs},
                                {outputs, inputs, kernel, kernel}, source));
    }
    const PackedNode dense =
        MakeDot8(graph::Dense{100}, {1, 25088}, {1, 100}, {100, 25088}, source);
    EXPECT_TRUE(dense.node.weights.SplitsK());
    ExpectDot8Panels(dense);
  }
}

TEST(Packing, Dot8DepthwiseHoldsWeightsLessTheirZeroPoints) {
  graph::Conv conv;
  conv.groups = conv.out_channels = 40;
  conv.window.kernel_h = conv.window.kernel_w = 3;
  const PackedNode made = MakeDot8(conv, {1, 9, 9, 40}, {1, 9, 9, 40}, {40, 1, 3, 3},
                                   graph::QuantizationSource::kConstant);
  ASSERT_TRUE(CheckLayout(made.graph, made.node, made.node.weights).ok());
  ASSERT_EQ(made.node.weights.chunks.size(), 1U);
  const ChunkDescriptor& chunk = made.node.weights.chunks[0];
  EXPECT_EQ(chunk.bytes, RoundUpToMultiple(48 * (3 * 4 + 9 * 2), 64));
  std::vector<std::byte> text(chunk.bytes);
  PackChunk(made.graph, made.node, chunk, text);
  for (uint32_t n = 0; n < 40; ++n) {
    const std::vector<int32_t> want = WeightsOf(made.node, n);
    int32_t sum = 0;
    for (uint32_t tap = 0; tap < 9; ++tap) {
      const int32_t weight = want[tap] - made.node.source->weight_zero[n];
      EXPECT_EQ(ValueAt<int16_t>(text, 48 * 3 * 4, tap * 48 + n), weight);
      sum += weight;
    }
    EXPECT_EQ(ValueAt<int32_t>(text, 0, n), made.node.source->integer_bias[n] - 3 * sum);
  }
}

TEST(Packing, Dot8CutsOfKAreAtWholeGroups) {
  const PackedNode made = MakeDot8(graph::Dense{64}, {1, 8192}, {1, 64}, {64, 8192},
                                   graph::QuantizationSource::kConstant);
  graph::WeightLayout layout = made.node.weights;
  ASSERT_GE(layout.chunks.size(), 2U);
  // A row moved from one chunk to the next: sizes would agree if they were not whole groups.
  for (const uint32_t moved : {1U, 2U, 3U}) {
    graph::WeightLayout wrong = layout;
    wrong.chunks[0].k_count -= moved;
    wrong.chunks[1].k_begin -= moved;
    wrong.chunks[1].k_count += moved;
    wrong.chunks[1].bytes += 4 * 64;
    EXPECT_FALSE(CheckLayout(made.graph, made.node, wrong).ok());
  }
}

}  // namespace
}  // namespace coracle::kernels

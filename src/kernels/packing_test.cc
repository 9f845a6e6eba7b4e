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

}  // namespace
}  // namespace coracle::kernels

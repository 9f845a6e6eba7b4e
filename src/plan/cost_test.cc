#include "plan/cost.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/packing.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;

/// A graph of one packed node.
Graph OneNode(graph::Attributes attrs, std::vector<Shape> inputs, const Shape& output,
              graph::Activation activation = {}) {
  Graph graph;
  graph.stage = graph::Stage::kRows;
  Node node;
  for (const Shape& shape : inputs) node.inputs.push_back(graph.AddTensor("in", shape));
  node.output = graph.AddTensor("out", output);
  node.attrs = std::move(attrs);
  node.activation = activation;
  graph.AddNode(std::move(node));
  Node& added = graph.nodes[0];
  added.weights = kernels::CutIntoChunks(graph, added, graph::ChunkIndex{0});
  return graph;
}

Graph Pointwise(uint32_t height, uint32_t width, uint32_t inputs, uint32_t outputs) {
  graph::Conv conv;
  conv.out_channels = outputs;
  return OneNode(conv, {Shape({1, height, width, inputs})}, Shape({1, height, width, outputs}));
}

Graph Conv3x3(uint32_t height, uint32_t width, uint32_t channels, uint32_t groups = 1) {
  graph::Conv conv;
  conv.window = {
      .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  conv.groups = groups;
  conv.out_channels = channels;
  const Shape shape({1, height, width, channels});
  return OneNode(conv, {shape}, shape);
}

NodeCost CostOf(const Graph& graph, const MachineRates& rates = {}) {
  return {graph, graph.nodes[0], rates};
}

/// Rates that count one thing only.
MachineRates Nothing() {
  return {.fma_gflops = 1e18,
          .tile_ns = 0,
          .window_ns = 0,
          .call_ns = 0,
          .depthwise_ns = 0,
          .vector_ns = 0,
          .pixel_ns = 0,
          .exponential_ns = 0,
          .activation_gbps = 1e18,
          .weight_gbps = 1e18,
          .aead_gbps = 1e18,
          .open_ns = 0};
}

TEST(NodeCost, FullTilesAreMultiplyAddsOverTheRate) {
  MachineRates rates = Nothing();
  rates.fma_gflops = 100;
  // 12 pixels are 2 tiles of 6: 12 x 64 x 64 multiply-adds.
  EXPECT_NEAR(CostOf(Pointwise(1, 12, 64, 64), rates).Compute(1), 2.0 * 12 * 64 * 64 / 100 * 1e-6,
              1e-9);
  // 80 channels are a panel of 64 and one of 16.
  EXPECT_NEAR(CostOf(Pointwise(1, 12, 64, 80), rates).Compute(1), 2.0 * 12 * 64 * 80 / 100 * 1e-6,
              1e-9);
  // Columns of a panel that hold no channel are multiplied too.
  EXPECT_NEAR(CostOf(Pointwise(1, 12, 64, 70), rates).Compute(1), 2.0 * 12 * 64 * 80 / 100 * 1e-6,
              1e-9);
}

TEST(NodeCost, OnePixelTakesAsLongAsTheChainOfItsSums) {
  MachineRates rates = Nothing();
  rates.fma_gflops = 100;
  const NodeCost cost = CostOf(Pointwise(1, 1, 64, 64), rates);
  EXPECT_NEAR(cost.Compute(1), 2.0 * 64 * 8 * 16 / 100 * 1e-6, 1e-9);
}

TEST(NodeCost, RowsTogetherFillTiles) {
  MachineRates rates = Nothing();
  rates.tile_ns = 1;
  const NodeCost cost = CostOf(Pointwise(6, 7, 64, 128), rates);
  // Two panels. A row of 7 pixels takes 2 tiles, six rows of them 7.
  EXPECT_NEAR(cost.Compute(1), 2 * 2 * 1e-6, 1e-12);
  EXPECT_NEAR(cost.Compute(6), 2 * 7 * 1e-6, 1e-12);
}

TEST(NodeCost, MoreRowsNeverCostLessAndSplittingNeverPays) {
  for (const Graph& graph :
       {Pointwise(28, 28, 128, 256), Conv3x3(56, 56, 64), Conv3x3(14, 14, 96, 96),
        Conv3x3(16, 20, 64, 4),
        OneNode(graph::Affine{}, {Shape({1, 20, 20, 40})}, Shape({1, 20, 20, 40})),
        OneNode(graph::Unary{}, {Shape({1, 20, 20, 40})}, Shape({1, 20, 20, 40}),
                {.kind = graph::ActivationKind::kSigmoid})}) {
    const NodeCost cost = CostOf(graph);
    const uint32_t all = OutputRows(graph, graph.nodes[0]);
    EXPECT_EQ(cost.Compute(0), 0);
    double before = 0;
    for (uint32_t rows = 1; rows <= all; ++rows) {
      const double ms = cost.Compute(rows);
      EXPECT_TRUE(std::isfinite(ms));
      // Pairs of rows share work: two depthwise rows may cost little more than one.
      EXPECT_GE(ms, 0.95 * before) << graph::OpName(graph.nodes[0].kind()) << " rows " << rows;
      before = ms;
    }
    EXPECT_GE(all * cost.Compute(1), cost.Compute(all));
    EXPECT_LE(cost.Compute(all / 2), cost.Compute(all));
  }
}

TEST(NodeCost, TransposedConvolutionTakesTheTapsThatReachEachPhase) {
  MachineRates rates = Nothing();
  rates.fma_gflops = 100;
  graph::ConvTranspose conv;
  conv.window = {.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};
  conv.out_channels = 64;
  const Graph graph = OneNode(conv, {Shape({1, 6, 12, 32})}, Shape({1, 12, 24, 64}));
  const NodeCost cost = CostOf(graph, rates);
  const double all = 2.0 * 12 * 24 * 64 * 32 / 100 * 1e-6;
  EXPECT_NEAR(cost.Compute(12), all, 1e-9);
  EXPECT_NEAR(cost.Compute(2), all / 6, 1e-9);
  EXPECT_NEAR(cost.Compute(1), all / 12, 1e-9);
}

TEST(NodeCost, WholeMapsPayForMemoryAndBandsInCacheDoNot) {
  MachineRates rates = Nothing();
  rates.activation_gbps = 10;
  const Shape shape({1, 512, 512, 32});
  const NodeCost cost = CostOf(OneNode(graph::Affine{}, {shape}, shape), rates);
  EXPECT_NEAR(cost.Compute(512), 2 * 4.0 * 512 * 512 * 32 / 10 * 1e-6, 1e-6);
  EXPECT_EQ(cost.Compute(1), 0);
}

TEST(NodeCost, StreamingHidesReadingBehindMultiplying) {
  MachineRates rates = Nothing();
  rates.weight_gbps = 10;
  rates.aead_gbps = 5;
  const Graph one = OneNode(graph::Dense{1024}, {Shape({1, 1024})}, Shape({1, 1024}));
  const auto bytes = static_cast<double>(one.nodes[0].weights.TotalBytes());
  EXPECT_NEAR(CostOf(one, rates).Stream(1), bytes * (1.0 / 5 + 1.0 / 10) * 1e-6, 1e-6);
  rates.fma_gflops = 100;
  const NodeCost busy = CostOf(Pointwise(56, 56, 64, 64), rates);
  EXPECT_LT(busy.Stream(56), busy.Open() + busy.Compute(56));
  EXPECT_GT(busy.Stream(56), busy.Compute(56));
}

Graph Winograd(uint32_t side, uint32_t inputs, uint32_t outputs, graph::ConvAlgorithm algorithm) {
  graph::Conv conv;
  conv.window = {
      .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  conv.out_channels = outputs;
  conv.algorithm = algorithm;
  return OneNode(conv, {Shape({1, side, side, inputs})}, Shape({1, side, side, outputs}));
}

TEST(NodeCost, WinogradCountsTilesAndTransforms) {
  MachineRates rates = Nothing();
  rates.fma_gflops = 100;
  const Graph graph = Winograd(24, 64, 64, graph::ConvAlgorithm::kWinograd4);
  const NodeCost cost = CostOf(graph, rates);
  // 6 tiles a row: each row of them is one more of everything but the weights' transform.
  const double row_of_tiles = cost.Compute(8) - cost.Compute(4);
  const double cycles =
      6 * 4 * 70 + 6 * 280.0 * static_cast<double>(graph.nodes[0].weights.chunks.size());
  EXPECT_NEAR(row_of_tiles, (6 * 36 * 64 * 64 * 2.0 + 64 * cycles) / 100 * 1e-6, 1e-9);
  EXPECT_NEAR(cost.Compute(4) - row_of_tiles, 64 * 135.0 * 64 * 64 / 16 / 100 * 1e-6, 1e-9);
  // A cut tile costs a whole one.
  EXPECT_EQ(cost.Compute(5), cost.Compute(8));
  EXPECT_EQ(cost.Compute(1), cost.Compute(4));
}

TEST(NodeCost, WinogradWinsWhereManyRowsShareTheTransform) {
  const auto ms = [](uint32_t rows, graph::ConvAlgorithm algorithm) {
    return CostOf(Winograd(56, 128, 128, algorithm)).Compute(rows);
  };
  const auto direct = graph::ConvAlgorithm::kDirect;
  const auto four = graph::ConvAlgorithm::kWinograd4;
  const auto two = graph::ConvAlgorithm::kWinograd2;
  EXPECT_LT(ms(56, four), 0.5 * ms(56, direct));
  EXPECT_LT(ms(56, two), 0.8 * ms(56, direct));
  EXPECT_LT(ms(56, four), ms(56, two));
  EXPECT_GT(ms(1, four), ms(1, direct));
}

TEST(ActionMs, WorkersShareWholeTiles) {
  const Graph graph = Winograd(14, 64, 64, graph::ConvAlgorithm::kWinograd4);
  const NodeCost cost = CostOf(graph);
  const Node& node = graph.nodes[0];
  const auto ms = [&](uint32_t rows, uint32_t workers) {
    return ActionMs(cost, node, rows, {WeightsMode::kHeld, Split::kRows, workers});
  };
  EXPECT_EQ(ms(14, 2), ms(16, 2));  // 8 rows and 6
  EXPECT_EQ(ms(14, 3), ms(14, 2));  // one of them has 8 too
  EXPECT_LT(ms(14, 4), ms(14, 3));
}

TEST(FarShare, RisesFromNoneToAll) {
  EXPECT_EQ(FarShare(0), 0);
  EXPECT_EQ(FarShare(kCachedBytes), 0);
  EXPECT_NEAR(FarShare(kCachedBytes + kCachedBytes / 2), 0.5, 1e-9);
  EXPECT_EQ(FarShare(2 * kCachedBytes), 1);
  EXPECT_EQ(FarShare(UINT64_MAX), 1);
}

TEST(ActionMs, HeldWeightsBeyondTheCacheCostMore) {
  const Graph graph = Pointwise(14, 14, 256, 256);
  const NodeCost cost = CostOf(graph);
  const Manner near{WeightsMode::kHeld, Split::kNone, 1, 0};
  const Manner far{WeightsMode::kHeld, Split::kNone, 1, 64 << 20};
  const Manner streamed{WeightsMode::kStreamed, Split::kNone, 1, 0};
  const Node& node = graph.nodes[0];
  EXPECT_LT(ActionMs(cost, node, 1, near), ActionMs(cost, node, 1, far));
  EXPECT_LT(ActionMs(cost, node, 1, far), ActionMs(cost, node, 1, streamed));
  // The more pixels an action has, the less it waits.
  EXPECT_LT(cost.FarWeights(14, 1), cost.FarWeights(1, 1));
}

TEST(ActionMs, WorkersShareRowsOrPanels) {
  const Graph graph = Conv3x3(56, 56, 256);
  const NodeCost cost = CostOf(graph);
  const Node& node = graph.nodes[0];
  const double alone = ActionMs(cost, node, 56, {WeightsMode::kHeld, Split::kNone, 1});
  const double by_rows = ActionMs(cost, node, 56, {WeightsMode::kHeld, Split::kRows, 2});
  EXPECT_LT(by_rows, 0.6 * alone);
  EXPECT_GT(by_rows, 0.45 * alone);  // half of the rows stay in the cache better
  const double streamed = ActionMs(cost, node, 56, {WeightsMode::kStreamed, Split::kNone, 1});
  const double by_panels = ActionMs(cost, node, 56, {WeightsMode::kStreamed, Split::kPanels, 2});
  EXPECT_LT(by_panels, 0.6 * streamed);
  // More workers than groups of chunks do not help.
  const Graph small = Pointwise(8, 8, 16, 64);
  EXPECT_EQ(PanelGroups(small.nodes[0].weights), 1U);
  const NodeCost small_cost = CostOf(small);
  EXPECT_GE(ActionMs(small_cost, small.nodes[0], 8, {WeightsMode::kStreamed, Split::kPanels, 4}),
            ActionMs(small_cost, small.nodes[0], 8, {WeightsMode::kStreamed, Split::kNone, 1}));
}

TEST(ActionMs, TakesTheSameFromAGraphAsFromANodeCost) {
  const Graph graph = Conv3x3(28, 28, 64);
  const Manner manner{WeightsMode::kStreamed, Split::kNone, 1};
  const MachineRates rates;
  EXPECT_EQ(ActionMs(graph, graph.nodes[0], 3, manner, rates),
            ActionMs(CostOf(graph), graph.nodes[0], 3, manner));
  EXPECT_EQ(ComputeMs(graph, graph.nodes[0], 3, rates), CostOf(graph).Compute(3));
  EXPECT_NEAR(OpenMs(graph.nodes[0], rates), CostOf(graph).Open(), 1e-12);
}

TEST(TransferMs, CountsBytesAndBlocks) {
  MachineRates rates = Nothing();
  rates.open_ns = 100;
  EXPECT_NEAR(TransferMs(0, 7, rates), 700e-6, 1e-12);
  rates.open_ns = 0;
  rates.aead_gbps = 2;
  EXPECT_NEAR(TransferMs(2'000'000, 7, rates), 1, 1e-9);
}

TEST(StepMs, AddsActionsOpeningAndSealedRows) {
  const Graph graph = Pointwise(8, 8, 64, 64);
  const MachineRates rates;
  Plan plan;
  plan.tensors.resize(graph.tensors.size());
  plan.tensors[0] = {.home = Home::kOutside, .place = {}, .block_rows = 4, .counters = {}};
  Step step;
  step.parts.push_back({.node = graph::NodeIndex{0}, .weights = WeightsMode::kHeld, .held = {}});
  step.windows.push_back({.tensor = graph::TensorIndex{0}, .place = {}, .ring_rows = 4});
  const double empty = StepMs(graph::Convoy(graph), plan, step, rates);
  EXPECT_GE(empty, OpenMs(graph.nodes[0], rates));
  for (uint32_t half = 0; half < 2; ++half) {
    step.actions.push_back({ActionKind::kOpen, 0, 4 * half, 4 * half + 4});
    step.actions.push_back({ActionKind::kCompute, 0, 4 * half, 4 * half + 4});
  }
  const double row_bytes = 8 * 64 * sizeof(float);
  const double expected =
      2 * (TransferMs(static_cast<uint64_t>(4 * row_bytes), 1, rates) +
           ActionMs(graph, graph.nodes[0], 4, {WeightsMode::kHeld, Split::kNone, 1}, rates));
  EXPECT_NEAR(StepMs(graph::Convoy(graph), plan, step, rates) - empty, expected, 1e-9);
}

}  // namespace
}  // namespace coracle::plan

#include "cmd/support/physical_limit.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

graph::Graph OneConv(graph::ConvAlgorithm algorithm) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  graph::Conv conv;
  conv.window = {
      .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  conv.out_channels = 32;
  conv.algorithm = algorithm;
  graph::Node node;
  node.attrs = conv;
  node.inputs = {graph.AddTensor("in", {1, 8, 8, 16})};
  node.output = graph.AddTensor("out", {1, 8, 8, 32});
  graph.AddNode(node);
  return graph;
}

TEST(PhysicalLimit, WinogradCountsItsProducts) {
  constexpr uint64_t kDirect = 8 * 8 * 9 * 16 * 32;
  EXPECT_EQ(ArithmeticOf(OneConv(graph::ConvAlgorithm::kDirect)), kDirect);
  EXPECT_EQ(ArithmeticOf(OneConv(graph::ConvAlgorithm::kWinograd4)), kDirect / 4);
  EXPECT_EQ(ArithmeticOf(OneConv(graph::ConvAlgorithm::kWinograd2)), kDirect * 4 / 9);
}

TEST(PhysicalLimit, AddsWhatSharesPortsAndWaitsForMemory) {
  const runtime::MachinePeaks peaks{.fma_gflops = 200, .read_gbps = 20};
  const PhysicalWork busy{.multiply_adds = 1'000'000'000, .opened_bytes = 100'000'000};
  EXPECT_DOUBLE_EQ(LimitMs(busy, peaks, 10, 1), 20);
  EXPECT_DOUBLE_EQ(LimitMs(busy, peaks, 10, 2), 10);
  const PhysicalWork reading{.multiply_adds = 0, .opened_bytes = 100'000'000};
  EXPECT_DOUBLE_EQ(LimitMs(reading, peaks, 10, 4), 5);
}

}  // namespace
}  // namespace coracle::cmd

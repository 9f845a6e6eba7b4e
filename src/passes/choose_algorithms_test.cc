#include "passes/choose_algorithms.h"

#include <gtest/gtest.h>

#include "graph/verify.h"

namespace coracle::passes {
namespace {

using graph::ConvAlgorithm;

constexpr graph::Window kSame3x3 = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

/// What is chosen for one convolution of a map of `height` x `width`.
ConvAlgorithm ChoiceFor(const graph::Conv& conv, uint32_t inputs, uint32_t height, uint32_t width,
                        uint32_t images = 1) {
  const graph::Window& w = conv.window;
  const auto extent = [](uint32_t in, uint32_t pads, uint32_t reach, uint32_t stride) {
    return (in + pads - reach) / stride + 1;
  };
  const uint32_t rows =
      extent(height, w.pad_top + w.pad_bottom, (w.kernel_h - 1) * w.dilation_h + 1, w.stride_h);
  const uint32_t pixels =
      extent(width, w.pad_left + w.pad_right, (w.kernel_w - 1) * w.dilation_w + 1, w.stride_w);
  const Shape in{images, height, width, inputs};
  const Shape out{images, rows, pixels, conv.out_channels};
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  graph::Node node;
  node.name = "conv";
  node.attrs = conv;
  node.inputs = {graph.AddTensor("x", in)};
  node.output = graph.AddTensor("y", out);
  graph.AddNode(node);
  graph.inputs.push_back({"x", node.inputs[0], in, {0, 1, 2, 3}});
  graph.outputs.push_back({"y", node.output, out, {0, 1, 2, 3}});
  const size_t count = ChooseAlgorithms(graph);
  const Status status = graph::Verify(graph);
  EXPECT_TRUE(status.ok()) << status.error().message;
  const ConvAlgorithm chosen = std::get<graph::Conv>(graph.nodes[0].attrs).algorithm;
  EXPECT_EQ(count, chosen == ConvAlgorithm::kDirect ? 0U : 1U);
  return chosen;
}

ConvAlgorithm ChoiceForSquare(uint32_t side, uint32_t inputs, uint32_t outputs) {
  return ChoiceFor({kSame3x3, 1, outputs}, inputs, side, side);
}

TEST(ChooseAlgorithms, ResNetsAndVggsLargeMapsTakeTilesOf4) {
  for (const uint32_t channels : {64U, 128U, 256U}) {
    EXPECT_EQ(ChoiceForSquare(56, channels, channels), ConvAlgorithm::kWinograd4) << channels;
    EXPECT_EQ(ChoiceForSquare(28, channels, channels), ConvAlgorithm::kWinograd4) << channels;
    EXPECT_EQ(ChoiceForSquare(14, channels, channels), ConvAlgorithm::kWinograd4) << channels;
  }
  EXPECT_EQ(ChoiceForSquare(224, 64, 64), ConvAlgorithm::kWinograd4);
  EXPECT_EQ(ChoiceForSquare(112, 64, 128), ConvAlgorithm::kWinograd4);
  EXPECT_EQ(ChoiceForSquare(28, 256, 512), ConvAlgorithm::kWinograd4);
  EXPECT_EQ(ChoiceForSquare(14, 512, 512), ConvAlgorithm::kWinograd4);
}

TEST(ChooseAlgorithms, OtherConvolutionsStayDirect) {
  graph::Window fast = kSame3x3;
  fast.stride_h = fast.stride_w = 2;
  EXPECT_EQ(ChoiceFor({fast, 1, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
  graph::Window dilated = kSame3x3;
  dilated.dilation_h = dilated.dilation_w = 2;
  EXPECT_EQ(ChoiceFor({dilated, 1, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
  graph::Window five = kSame3x3;
  five.kernel_h = five.kernel_w = 5;
  EXPECT_EQ(ChoiceFor({five, 1, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceFor({kSame3x3, 2, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceFor({kSame3x3, 128, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceFor({{}, 1, 128}, 128, 56, 56), ConvAlgorithm::kDirect);
}

TEST(ChooseAlgorithms, FewOrOddChannelsStayDirect) {
  EXPECT_EQ(ChoiceForSquare(224, 3, 64), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceForSquare(112, 16, 64), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceForSquare(112, 64, 16), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceForSquare(112, 72, 64), ConvAlgorithm::kDirect);
}

/// The transform of the weights is not shared by enough pixels.
TEST(ChooseAlgorithms, SmallMapsStayDirect) {
  EXPECT_EQ(ChoiceForSquare(1, 512, 512), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceForSquare(2, 512, 512), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceForSquare(4, 512, 512), ConvAlgorithm::kDirect);
  EXPECT_EQ(ChoiceFor({kSame3x3, 1, 64}, 64, 1, 30), ConvAlgorithm::kDirect);
  // Many images share it too.
  EXPECT_NE(ChoiceFor({kSame3x3, 1, 512}, 512, 4, 4, 16), ConvAlgorithm::kDirect);
}

}  // namespace
}  // namespace coracle::passes

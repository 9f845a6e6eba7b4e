// InputRows against the reference kernels: a change outside of the rows that it names changes
// nothing, and its first and last row matter.
#include <random>
#include <utility>

#include "base/index.h"
#include "gtest/gtest.h"
#include "kernels/packing.h"
#include "kernels/row_case.h"

namespace coracle::kernels {
namespace {

using graph::Node;

class InputRowsTest : public ::testing::Test {
 protected:
  uint32_t Draw(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random_);
  }

  /// Output rows `rows` after inputs[operand]'s rows have been kept (others are changed).
  static std::vector<float> Compute(const RowCase& test, RowRange rows, uint32_t operand,
                                    RowRange kept) {
    std::vector<std::vector<float>> values = test.inputs[0];
    std::vector<Rows> inputs;
    for (size_t i = 0; i < values.size(); ++i) {
      inputs.push_back(DenseRows(test, test.node.inputs[i], values[i]));
    }
    const Rows& changed = inputs[operand];
    for (uint32_t y = 0; y < changed.rows; ++y) {
      if (y >= kept.begin && y < kept.end) continue;
      for (uint32_t i = 0; i < changed.pixels * changed.channels; ++i) changed.Row(y)[i] += 3;
    }
    std::vector<float> out(test.expected[0].size());
    const Image image{.inputs = inputs, .output = DenseRows(test, test.node.output, out)};
    const RowArgs args{&test.graph, &test.node, {&image, 1}, test.constants.data(), {}};
    ReferenceKernels().rows[Position(test.node.kind())](args, rows);
    return out;
  }

  static Rows DenseRows(const RowCase& test, graph::TensorIndex tensor, std::vector<float>& data) {
    const graph::RowShape extent = graph::RowsOf(test.graph.shape(tensor));
    return {.base = data.data(),
            .row_stride = static_cast<ptrdiff_t>(extent.RowElements()),
            .pixel_stride = extent.channels,
            .rows = test.ImageRows(tensor),
            .pixels = extent.pixels,
            .channels = extent.channels};
  }

  void Check(Node node, const std::vector<Shape>& inputs, bool tight, const Shape& declared = {}) {
    const RowCase test = MakeRowCase(std::move(node), inputs, random_, {}, declared);
    const uint32_t out_rows = test.ImageRows(test.node.output);
    const uint32_t begin = Draw(0, out_rows - 1);
    const RowRange rows{begin, Draw(begin + 1, out_rows)};
    for (uint32_t operand = 0; operand < inputs.size(); ++operand) {
      const RowRange all{0, test.ImageRows(test.node.inputs[operand])};
      const RowRange kept = InputRows(test.graph, test.node, operand, rows);
      ASSERT_LE(kept.begin, kept.end);
      ASSERT_LE(kept.end, all.end);
      const std::vector<float> expected = Compute(test, rows, operand, all);
      EXPECT_EQ(Compute(test, rows, operand, kept), expected) << inputs[0].ToString();
      if (!tight || kept.count() == 0) continue;
      EXPECT_NE(Compute(test, rows, operand, {kept.begin + 1, kept.end}), expected);
      EXPECT_NE(Compute(test, rows, operand, {kept.begin, kept.end - 1}), expected);
    }
  }

  std::mt19937 random_{77};
};

TEST_F(InputRowsTest, OfAverageWindows) {
  for (int i = 0; i < 60; ++i) {
    graph::Pool pool;
    pool.kind = graph::PoolKind::kAverage;
    graph::Window& w = pool.window;
    w.kernel_h = Draw(1, 4);
    w.stride_h = Draw(1, 3);
    w.dilation_h = Draw(1, 2);
    w.pad_top = Draw(0, w.kernel_h - 1);
    w.pad_bottom = Draw(0, w.kernel_h - 1);
    // A dilated window may jump over the edge rows that its extent spans.
    Check(NodeOf(pool), {{1, Draw(8, 20), 3, 2}}, w.dilation_h == 1);
  }
}

TEST_F(InputRowsTest, OfRowwiseOperators) {
  Check(NodeOf(graph::Softmax{3}), {{1, 7, 3, 4}}, true);
  Check(NodeOf(graph::Reduce{graph::ReduceKind::kMean, {3}}), {{1, 7, 3, 4}}, true);
  Check(NodeOf(graph::Reduce{graph::ReduceKind::kMean, {1, 2}}), {{1, 7, 3, 4}}, true);
  Check(NodeOf(graph::Binary{}), {{1, 7, 3, 4}, {1, 7, 3, 4}}, true);
  Check(NodeOf(graph::Binary{}), {{1, 7, 3, 4}, {1, 1, 1, 4}}, true);
  Check(NodeOf(graph::Reorg{2}), {{1, 8, 6, 8}}, false);
}

TEST_F(InputRowsTest, OfResize) {
  for (int i = 0; i < 40; ++i) {
    graph::Resize resize;
    resize.mode = static_cast<graph::ResizeMode>(i % 2);
    resize.coordinates = static_cast<graph::ResizeCoordinates>(i / 2 % 4);
    const uint32_t in = Draw(2, 12);
    const uint32_t out = Draw(2, 24);
    resize.scale_h = static_cast<float>(out) / static_cast<float>(in);
    Check(NodeOf(resize), {{1, in, 2, 3}}, false, {1, out, 2, 3});
  }
}

TEST_F(InputRowsTest, OfMatMul) {
  Check(NodeOf(graph::MatMul{}), {{2, 3, 5, 4}, {2, 3, 4, 6}}, true);
  Check(NodeOf(graph::MatMul{}), {{3, 5, 4}, {1, 4, 6}}, true);
  Check(NodeOf(graph::MatMul{graph::TransposeB::kYes}), {{5, 4}, {6, 4}}, true);
}

TEST_F(InputRowsTest, OfMovement) {
  for (int i = 0; i < 40; ++i) {
    const Shape in{Draw(1, 3), Draw(1, 6), Draw(1, 4), Draw(1, 4)};
    graph::Transpose transpose{{0, 1, 2, 3}};
    std::shuffle(transpose.perm.begin(), transpose.perm.end(), random_);
    Check(NodeOf(transpose), {in}, false);
    Shape other = in;
    const uint32_t axis = Draw(0, 3);
    other.Set(axis, Draw(1, 4));
    Check(NodeOf(graph::Concat{axis}), {in, other}, false);
    Check(NodeOf(graph::Reshape{}), {in}, true, {in[0] * in[1], in[2] * in[3]});
    graph::Pad pad;
    pad.mode = static_cast<graph::PadMode>(i % 3 == 1 ? 2 : 0);
    for (uint32_t a = 0; a < 4; ++a) {
      pad.before.push_back(Draw(0, 3));
      pad.after.push_back(Draw(0, 3));
    }
    Check(NodeOf(pad), {in}, false);
    graph::Slice slice{{0, in[1] - 1, 0, 0}, {1, -1, 1, 1}};
    Check(NodeOf(slice), {in}, false, in);
  }
}

/// The same by counting: which input rows any tap of the output rows meets.
TEST(InputRowsOfConvolutions, CoverTheTaps) {
  std::mt19937 random(5);
  const auto draw = [&random](uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random);
  };
  for (int i = 0; i < 200; ++i) {
    graph::Window w;
    w.kernel_h = draw(1, 4);
    w.stride_h = draw(1, 3);
    w.pad_top = draw(0, 2);
    w.pad_bottom = draw(0, 2);
    const uint32_t rows_in = draw(4, 12);
    graph::Graph graph;
    graph.stage = graph::Stage::kRows;
    const auto in = graph.AddTensor("in", {1, rows_in, 1, 1});
    graph::ConvTranspose conv;
    conv.window = w;
    conv.out_channels = 1;
    Node node = NodeOf(conv);
    node.inputs = {in};
    const uint32_t full = (rows_in - 1) * w.stride_h + w.kernel_h;
    if (full <= w.pad_top + w.pad_bottom) continue;
    const uint32_t rows_out = full - w.pad_top - w.pad_bottom;
    node.output = graph.AddTensor("out", {1, rows_out, 1, 1});
    const uint32_t begin = draw(0, rows_out - 1);
    const RowRange rows{begin, draw(begin + 1, rows_out)};
    const RowRange got = InputRows(graph, node, 0, rows);
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t k = 0; k < w.kernel_h; ++k) {
        const int64_t at = int64_t{y} + w.pad_top - k;
        if (at < 0 || at % w.stride_h != 0 || at / w.stride_h >= rows_in) continue;
        EXPECT_GE(at / w.stride_h, got.begin);
        EXPECT_LT(at / w.stride_h, got.end);
      }
    }
  }
}

using Pair = std::pair<uint32_t, uint32_t>;

/// A node of two images of 9 rows, over a tensor and its ranges.
struct Quantized {
  graph::Graph graph;
  Node node;

  Quantized(graph::Attributes attrs, DType in, DType out) : node(NodeOf(std::move(attrs))) {
    graph.stage = graph::Stage::kRows;
    node.inputs = {graph.AddTensor("in", {2, 9, 5, 8}, in), graph.AddTensor("range", {2, 1, 2})};
    node.output = graph.AddTensor("out", {2, 9, 5, 8}, out);
  }
  Pair RowsOfRange() const {
    const RowRange read = InputRows(graph, node, 1, {4, 6});
    return {read.begin, read.end};
  }
};

TEST(InputRowsOfRanges, AreTheWholeRangeOfTheImage) {
  constexpr auto kTensor = graph::QuantizationSource::kTensor;
  const Quantized down(graph::Quantize{{}, kTensor}, DType::kFloat32, DType::kUint8);
  EXPECT_EQ(down.RowsOfRange(), (Pair{0, 1}));
  EXPECT_TRUE(PerImage(down.graph, down.node));
  const Quantized up(graph::Dequantize{{}, kTensor}, DType::kUint8, DType::kFloat32);
  EXPECT_EQ(up.RowsOfRange(), (Pair{0, 1}));
  EXPECT_FALSE(InPlaceAllowed(up.graph, up.node, 0));
  graph::Conv conv;
  conv.out_channels = 8;
  Quantized sums(conv, DType::kUint8, DType::kFloat32);
  sums.node.weight_type = graph::WeightType::kDot8;
  sums.node.integer.in_source = kTensor;
  EXPECT_EQ(sums.RowsOfRange(), (Pair{0, 1}));
}

TEST(InputRowsOfRanges, ExtremesFlowAndRangesWait) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  Node extremes = NodeOf(graph::RowExtremes{});
  extremes.inputs = {graph.AddTensor("in", {1, 9, 5, 8})};
  extremes.output = graph.AddTensor("extremes", {1, 9, 2});
  Node range = NodeOf(graph::QuantizationRange{});
  range.inputs = {extremes.output};
  range.output = graph.AddTensor("range", {1, 1, 2});
  const RowRange flowing = InputRows(graph, extremes, 0, {4, 6});
  EXPECT_EQ((Pair{flowing.begin, flowing.end}), (Pair{4, 6}));
  const RowRange waiting = InputRows(graph, range, 0, {0, 1});
  EXPECT_EQ((Pair{waiting.begin, waiting.end}), (Pair{0, 9}));
}

TEST(InPlace, OfBytesOverBytesOnly) {
  const Quantized sum(graph::QuantizedAdd{}, DType::kUint8, DType::kUint8);
  EXPECT_TRUE(InPlaceAllowed(sum.graph, sum.node, 0));
  EXPECT_FALSE(InPlaceAllowed(sum.graph, sum.node, 1));  // another type and shape
  const Quantized mixed(graph::QuantizedAdd{}, DType::kFloat32, DType::kUint8);
  EXPECT_FALSE(InPlaceAllowed(mixed.graph, mixed.node, 0));
  const Quantized quantize(graph::Quantize{}, DType::kFloat32, DType::kUint8);
  EXPECT_FALSE(InPlaceAllowed(quantize.graph, quantize.node, 0));
}

Pair WinogradRows(graph::ConvAlgorithm algorithm, uint32_t height, uint32_t pad_top, RowRange rows,
                  uint32_t operand = 0) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  graph::Conv conv;
  conv.window = {.kernel_h = 3, .kernel_w = 3, .pad_top = pad_top, .pad_bottom = 2 - pad_top};
  conv.out_channels = 16;
  conv.algorithm = algorithm;
  Node node = NodeOf(conv);
  node.inputs = {graph.AddTensor("in", {1, height, 5, 16})};
  node.output = graph.AddTensor("out", {1, height, 3, 16});
  node.inputs.push_back(graph.AddTensor("residual", {1, height, 3, 16}));
  node.residual = graph::Residual::kBeforeActivation;
  const RowRange read = InputRows(graph, node, operand, rows);
  return {read.begin, read.end};
}

TEST(InputRowsOfConvolutions, WinogradReadsWholeTiles) {
  constexpr auto k2 = graph::ConvAlgorithm::kWinograd2;
  constexpr auto k4 = graph::ConvAlgorithm::kWinograd4;
  EXPECT_EQ(WinogradRows(k4, 14, 1, {4, 8}), (Pair{3, 9}));
  EXPECT_EQ(WinogradRows(k4, 14, 1, {5, 6}), (Pair{3, 9}));
  EXPECT_EQ(WinogradRows(k4, 14, 1, {7, 9}), (Pair{3, 13}));
  EXPECT_EQ(WinogradRows(k4, 14, 0, {5, 6}), (Pair{4, 10}));
  EXPECT_EQ(WinogradRows(k4, 14, 2, {5, 6}), (Pair{2, 8}));
  EXPECT_EQ(WinogradRows(k4, 14, 1, {0, 1}), (Pair{0, 5}));
  EXPECT_EQ(WinogradRows(k4, 14, 1, {12, 13}), (Pair{11, 14}));
  EXPECT_EQ(WinogradRows(k2, 14, 1, {5, 6}), (Pair{3, 7}));
  EXPECT_EQ(WinogradRows(k2, 14, 1, {3, 5}), (Pair{1, 7}));
  // What is added to the sums is not part of a tile.
  EXPECT_EQ(WinogradRows(k4, 14, 1, {5, 6}, 1), (Pair{5, 6}));
}

}  // namespace
}  // namespace coracle::kernels

// The operators that move uint8 elements, or take the largest, on every kernel set: they give the
// elements that the reference gives of float32, where these are the same numbers.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/index.h"
#include "gtest/gtest.h"
#include "kernels/row_case.h"

namespace coracle::kernels {
namespace {

using graph::Node;

/// Rounding down keeps order and goes with every copy.
uint8_t ByteOf(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F)); }

/// Memory of one image of one uint8 tensor: rows `kept` of it, in a ring or not, gaps around all.
class ByteTensor {
 public:
  static constexpr uint8_t kGap = 0xA5;

  ByteTensor(const graph::RowShape& extent, uint32_t rows, const TestLayout& layout, RowRange kept)
      : kept_(layout.ring ? kept : RowRange{0, rows}) {
    rows_ = {.pixel_stride = ptrdiff_t{extent.channels} + layout.pixel_gap,
             .ring_rows = layout.ring ? std::max(1U, kept.count()) : 0,
             .rows = rows,
             .pixels = extent.pixels,
             .channels = extent.channels,
             .element_bytes = 1};
    rows_.row_stride = rows_.pixel_stride * extent.pixels + layout.row_gap;
    const ptrdiff_t stored = layout.ring ? rows_.ring_rows : rows;
    // Exactly up to the last pixel's last channel: a sanitizer sees any read behind it.
    storage_.assign(
        static_cast<size_t>(rows_.row_stride * (stored - 1) +
                            rows_.pixel_stride * (ptrdiff_t{extent.pixels} - 1) + extent.channels),
        kGap);
    rows_.base = storage_.data();
  }

  const Rows& rows() const { return rows_; }
  uint8_t* At(uint64_t element) {
    const uint64_t pixel = element / rows_.channels;
    return rows_.Pixel<uint8_t>(static_cast<uint32_t>(pixel / rows_.pixels),
                                static_cast<uint32_t>(pixel % rows_.pixels)) +
           element % rows_.channels;
  }
  void Fill(const std::vector<float>& dense) {
    const uint64_t row = uint64_t{rows_.pixels} * rows_.channels;
    for (uint64_t e = kept_.begin * row; e < kept_.end * row; ++e) *At(e) = ByteOf(dense[e]);
  }
  /// Bytes that are no element.
  bool GapsUntouched() {
    std::vector<bool> used(storage_.size());
    const uint64_t row = uint64_t{rows_.pixels} * rows_.channels;
    for (uint64_t e = kept_.begin * row; e < kept_.end * row; ++e) {
      used[static_cast<size_t>(At(e) - storage_.data())] = true;
    }
    for (size_t i = 0; i < storage_.size(); ++i) {
      if (!used[i] && storage_[i] != kGap) return false;
    }
    return true;
  }

 private:
  std::vector<uint8_t> storage_;
  Rows rows_;
  RowRange kept_;
};

class ByteKernels : public ::testing::Test {
 protected:
  uint32_t Draw(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random_);
  }
  Shape AnyShape() {
    Shape shape;
    const uint32_t rank = Draw(1, 5);
    for (uint32_t axis = 0; axis + 1 < rank; ++axis) shape.Append(Draw(1, 5));
    shape.Append(Draw(1, 150));
    return shape;
  }
  TestLayout AnyLayout() { return {Draw(0, 5), Draw(0, 9), Draw(0, 1) == 1}; }

  void Check(Node node, const std::vector<Shape>& inputs, const Shape& declared = {}) {
    RowCase test = MakeRowCase(std::move(node), inputs, random_, {0, 256}, declared);
    for (graph::Tensor& tensor : test.graph.tensors) tensor.dtype = DType::kUint8;
    std::vector<const KernelSet*> sets(AllSimdKernels().begin(), AllSimdKernels().end());
    sets.push_back(&ReferenceKernels());
    const uint32_t all = test.ImageRows(test.node.output);
    for (const KernelSet* set : sets) {
      Compare(test, *set, {}, {}, {0, all});
      const uint32_t begin = Draw(0, all - 1);
      Compare(test, *set, AnyLayout(), AnyLayout(), {begin, Draw(begin + 1, all)});
    }
  }

  static void Compare(const RowCase& test, const KernelSet& set, const TestLayout& in_layout,
                      const TestLayout& out_layout, RowRange rows) {
    for (size_t i = 0; i < test.inputs.size(); ++i) {
      std::vector<ByteTensor> operands;
      std::vector<Rows> operand_rows;
      for (uint32_t operand = 0; operand < test.node.inputs.size(); ++operand) {
        const graph::TensorIndex tensor = test.node.inputs[operand];
        operands.emplace_back(graph::RowsOf(test.graph.shape(tensor)), test.ImageRows(tensor),
                              in_layout, InputRows(test.graph, test.node, operand, rows));
        operands.back().Fill(test.inputs[i][operand]);
      }
      for (const ByteTensor& operand : operands) operand_rows.push_back(operand.rows());
      const graph::RowShape extent = graph::RowsOf(test.graph.shape(test.node.output));
      ByteTensor output(extent, test.ImageRows(test.node.output), out_layout, rows);
      const Image image{operand_rows, output.rows()};
      set.rows[Position(test.node.kind())]({&test.graph, &test.node, {&image, 1}, nullptr, {}},
                                           rows);
      const uint64_t row = extent.RowElements();
      for (uint64_t e = rows.begin * row; e < rows.end * row; ++e) {
        ASSERT_EQ(*output.At(e), ByteOf(test.expected[i][e])) << set.name << " element " << e;
      }
      EXPECT_TRUE(output.GapsUntouched()) << set.name;
    }
  }

  std::mt19937 random_{8};
};

TEST_F(ByteKernels, MaxPoolWhosePadsNeverWin) {
  for (int i = 0; i < 60; ++i) {
    graph::Pool pool;
    graph::Window& w = pool.window;
    w.kernel_h = Draw(1, 4);
    w.kernel_w = Draw(1, 4);
    w.stride_h = Draw(1, 3);
    w.stride_w = Draw(1, 3);
    w.dilation_h = Draw(1, 2);
    w.dilation_w = Draw(1, 2);
    w.pad_top = Draw(0, w.kernel_h - 1);
    w.pad_left = Draw(0, w.kernel_w - 1);
    w.pad_bottom = Draw(0, w.kernel_h - 1);
    w.pad_right = Draw(0, w.kernel_w - 1);
    Check(NodeOf(pool), {{Draw(1, 2), Draw(7, 15), Draw(7, 15), Draw(1, 150)}});
  }
}

TEST_F(ByteKernels, ResizeNearest) {
  for (int i = 0; i < 40; ++i) {
    const Shape in{Draw(1, 2), Draw(1, 9), Draw(1, 9), Draw(1, 90)};
    graph::Resize resize;
    resize.coordinates = static_cast<graph::ResizeCoordinates>(Draw(0, 3));
    resize.rounding = static_cast<graph::NearestRounding>(Draw(0, 3));
    const Shape out{in[0], Draw(1, 2 * in[1] + 3), Draw(1, 20), in[3]};
    resize.scale_h = static_cast<float>(out[1]) / static_cast<float>(in[1]);
    resize.scale_w = static_cast<float>(out[2]) / static_cast<float>(in[2]);
    Check(NodeOf(resize), {in}, out);
  }
}

TEST_F(ByteKernels, ConcatAndReshape) {
  for (int i = 0; i < 40; ++i) {
    const Shape shape = AnyShape();
    const graph::Concat concat{Draw(0, shape.rank() - 1)};
    std::vector<Shape> inputs(Draw(1, 4), shape);
    for (Shape& input : inputs) input.Set(concat.axis, Draw(1, 7));
    Check(NodeOf(concat), inputs);
    const uint32_t a = Draw(1, 6), b = Draw(1, 6), c = Draw(1, 6), d = Draw(1, 60);
    const std::vector<Shape> shapes{{a, b, c, d}, {a * b, c * d}, {a, b, c * d}, {a, b * c, d}};
    Check(NodeOf(graph::Reshape{}), {shapes[Draw(0, 3)]}, shapes[Draw(0, 3)]);
  }
}

TEST_F(ByteKernels, Slice) {
  for (int i = 0; i < 60; ++i) {
    const Shape in = AnyShape();
    graph::Slice slice;
    Shape out;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) {
      const uint32_t start = Draw(0, in[axis] - 1);
      const bool backward = Draw(0, 3) == 0;
      const uint32_t step = Draw(1, 2);
      out.Append(Draw(1, (backward ? start : in[axis] - 1 - start) / step + 1));
      slice.starts.push_back(start);
      slice.steps.push_back(backward ? -int64_t{step} : int64_t{step});
    }
    Check(NodeOf(slice), {in}, out);
  }
}

TEST_F(ByteKernels, Transpose) {
  for (int i = 0; i < 60; ++i) {
    const Shape in = AnyShape();
    graph::Transpose transpose;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) transpose.perm.push_back(axis);
    std::shuffle(transpose.perm.begin(), transpose.perm.end(), random_);
    Check(NodeOf(transpose), {in});
  }
}

TEST_F(ByteKernels, Pad) {
  for (int i = 0; i < 60; ++i) {
    const Shape in = AnyShape();
    graph::Pad pad;
    pad.mode = static_cast<graph::PadMode>(Draw(0, 2));
    pad.value = 131;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) {
      const uint32_t most = pad.mode == graph::PadMode::kReflect ? std::min(3U, in[axis] - 1) : 3;
      pad.before.push_back(Draw(0, most));
      pad.after.push_back(Draw(0, most));
    }
    Check(NodeOf(pad), {in});
  }
}

TEST_F(ByteKernels, Reorg) {
  for (int i = 0; i < 20; ++i) {
    const uint32_t s = Draw(1, 3);
    Check(NodeOf(graph::Reorg{s}),
          {{Draw(1, 2), s * Draw(1, 4), s * Draw(1, 4), s * s * Draw(1, 6)}});
  }
}

}  // namespace
}  // namespace coracle::kernels

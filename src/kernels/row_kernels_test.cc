// Every kernel set against the reference: odd shapes, strides, rings, row ranges, in place.
#include "gtest/gtest.h"
#include "kernels/row_case.h"

namespace coracle::kernels {
namespace {

using graph::Node;

constexpr int kRepeats = 40;

class RowKernels : public ::testing::Test {
 protected:
  uint32_t Draw(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random_);
  }
  bool Coin() { return Draw(0, 1) == 1; }
  uint32_t Channels() { return Coin() ? Draw(1, 20) : Draw(1, 150); }
  Shape ImageShape() { return {Draw(1, 2), Draw(1, 9), Draw(1, 9), Channels()}; }
  /// Any rank; the product stays small.
  Shape AnyShape() {
    Shape shape;
    const uint32_t rank = Draw(1, 6);
    for (uint32_t axis = 0; axis + 1 < rank; ++axis) shape.Append(Draw(1, 5));
    shape.Append(Draw(1, 40));
    return shape;
  }
  void Check(Node node, const std::vector<Shape>& inputs, float tolerance, ValueRange values = {},
             const Shape& declared = {}) {
    const RowCase test = MakeRowCase(std::move(node), inputs, random_, values, declared);
    EXPECT_EQ(CompareAll(test, random_, tolerance), "") << inputs[0].ToString();
  }

  std::mt19937 random_{20240611};
};

TEST_F(RowKernels, Pool) {
  for (int i = 0; i < 3 * kRepeats; ++i) {
    graph::Pool pool;
    pool.kind = Coin() ? graph::PoolKind::kMax : graph::PoolKind::kAverage;
    pool.counting = Coin() ? graph::PadCounting::kExcludePad : graph::PadCounting::kIncludePad;
    graph::Window& w = pool.window;
    w.kernel_h = Draw(1, 4);
    w.kernel_w = Coin() ? w.kernel_h : Draw(1, 4);
    w.stride_h = Draw(1, 3);
    w.stride_w = Draw(1, 3);
    w.dilation_h = Draw(1, 2);
    w.pad_top = Draw(0, w.kernel_h - 1);
    w.pad_left = Draw(0, w.kernel_w - 1);
    w.pad_bottom = Draw(0, w.kernel_h - 1);
    w.pad_right = Draw(0, w.kernel_w - 1);
    Check(NodeOf(pool), {{Draw(1, 2), Draw(7, 15), Draw(5, 15), Channels()}}, 1e-6F);
  }
}

TEST_F(RowKernels, PoolCeilMode) {
  graph::Pool pool;
  pool.window = {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2};
  Check(NodeOf(pool), {{1, 8, 10, 24}}, 0, {}, {1, 4, 5, 24});
  pool.kind = graph::PoolKind::kAverage;
  Check(NodeOf(pool), {{1, 8, 10, 24}}, 1e-6F, {}, {1, 4, 5, 24});
}

TEST_F(RowKernels, Reduce) {
  for (int i = 0; i < kRepeats; ++i) {
    const Shape shape = AnyShape();
    graph::Reduce reduce;
    reduce.kind = static_cast<graph::ReduceKind>(Draw(0, 3));
    reduce.axes = {shape.rank() - 1};
    if (shape.rank() > 2 && Coin()) {
      reduce.axes.clear();
      for (uint32_t axis = 1; axis + 1 < shape.rank(); ++axis) reduce.axes.push_back(axis);
    }
    Check(NodeOf(reduce), {shape}, 5e-6F);
  }
}

TEST_F(RowKernels, GlobalAverageOfALargeMap) {
  graph::Reduce reduce;
  reduce.axes = {1, 2};
  Check(NodeOf(reduce), {{1, 112, 112, 5}}, 2e-6F, {0, 1});
}

TEST_F(RowKernels, LayerNorm) {
  for (int i = 0; i < kRepeats; ++i) {
    Check(NodeOf(graph::LayerNorm{}), {AnyShape()}, 2e-4F);
  }
  Check(NodeOf(graph::LayerNorm{}), {{1, 3, 768}}, 1e-5F);
}

TEST_F(RowKernels, Affine) {
  for (int i = 0; i < kRepeats; ++i) {
    const graph::Activation activation{Coin() ? graph::ActivationKind::kRelu
                                              : graph::ActivationKind::kNone};
    Check(NodeOf(graph::Affine{}, activation), {ImageShape()}, 2e-6F);
  }
}

TEST_F(RowKernels, Softmax) {
  for (int i = 0; i < kRepeats; ++i) {
    const Shape shape = AnyShape();
    Check(NodeOf(graph::Softmax{shape.rank() - 1}), {shape}, 1e-6F, {-30, 30});
  }
  Check(NodeOf(graph::Softmax{1}), {{2, 1000}}, 1e-6F);
}

TEST_F(RowKernels, Attention) {
  for (int i = 0; i < 24; ++i) {
    const uint32_t images = Draw(1, 2);
    const uint32_t queries = Draw(1, 20);
    const uint32_t tokens = Draw(1, i % 3 == 0 ? 90 : 20);
    const uint32_t heads = Draw(1, 3);
    const uint32_t depth = Draw(1, 40);
    const uint32_t mask_queries = Draw(0, 1) == 1 ? queries : 1;
    const uint32_t mask_heads = Draw(0, 1) == 1 ? heads : 1;
    graph::Attention attrs;
    attrs.scale = 0.3F;
    attrs.mask = static_cast<graph::AttentionMask>(Draw(0, 2));
    std::vector<Shape> inputs = {{images, queries, heads, depth},
                                 {images, tokens, heads, depth},
                                 {images, tokens, heads, Draw(1, 70)}};
    if (attrs.mask == graph::AttentionMask::kTensor) {
      inputs.push_back({images, mask_queries, mask_heads, tokens});
    } else if (attrs.mask == graph::AttentionMask::kConstant) {
      attrs.mask_shape = Shape{1, mask_queries, mask_heads, tokens};
    }
    Check(NodeOf(attrs), inputs, 1e-5F);
  }
}

TEST_F(RowKernels, DetectionHead) {
  for (int i = 0; i < kRepeats; ++i) {
    graph::DetectionHead head;
    head.kind = static_cast<graph::DetectionHeadKind>(Draw(0, 1));
    head.boxes = Draw(1, 5);
    head.classes = Draw(0, 30);
    head.softmax = Draw(0, 1);
    Check(NodeOf(head), {{Draw(1, 2), Draw(1, 5), Draw(1, 5), head.boxes * (5 + head.classes)}},
          1e-6F, {-10, 10});
  }
}

TEST_F(RowKernels, BinaryOfTensors) {
  for (int i = 0; i < 4 * kRepeats; ++i) {
    graph::Binary binary;
    binary.kind = static_cast<graph::BinaryKind>(Draw(0, 6));
    const Shape shape = AnyShape();
    Shape first = shape;
    Shape second = shape;
    for (uint32_t axis = 0; axis < shape.rank() && i % 3 != 0; ++axis) {
      if (Draw(0, 2) == 0) (Coin() ? first : second).Set(axis, 1);
    }
    const bool positive =
        binary.kind == graph::BinaryKind::kPow || binary.kind == graph::BinaryKind::kDiv;
    Check(NodeOf(binary), {first, second}, 2e-6F, {positive ? 0.2F : -2, 2});
  }
}

TEST_F(RowKernels, BinaryWithAConstant) {
  for (int i = 0; i < 4 * kRepeats; ++i) {
    graph::Binary binary;
    binary.kind = static_cast<graph::BinaryKind>(Draw(0, 6));
    binary.operands = Coin() ? graph::Operands::kConstantRight : graph::Operands::kConstantLeft;
    const Shape shape = AnyShape();
    const uint32_t skipped = Draw(0, shape.rank());
    for (uint32_t axis = skipped; axis < shape.rank(); ++axis) {
      binary.constant_shape.Append(Coin() ? 1 : shape[axis]);
    }
    const graph::Activation activation{Coin() ? graph::ActivationKind::kRelu
                                              : graph::ActivationKind::kNone};
    Check(NodeOf(binary, activation), {shape}, 2e-6F, {0.2F, 2});
  }
}

TEST_F(RowKernels, MatMul) {
  for (int i = 0; i < 2 * kRepeats; ++i) {
    graph::MatMul matmul;
    matmul.transpose_b = Coin() ? graph::TransposeB::kYes : graph::TransposeB::kNo;
    matmul.scale = Coin() ? 1.0F : 0.25F;
    Shape a;
    Shape b;
    for (uint32_t axis = Draw(0, 3); axis > 0; --axis) {
      const uint32_t dim = Draw(1, 3);
      a.Append(Draw(0, 3) == 0 ? 1 : dim);
      b.Append(Draw(0, 3) == 0 ? 1 : dim);
    }
    const uint32_t m = Draw(1, 14);
    const uint32_t k = Draw(0, 9) == 0 ? Draw(250, 530) : Draw(1, 70);
    const uint32_t n = Draw(1, 90);
    a.Append(m);
    a.Append(k);
    b.Append(matmul.transpose_b == graph::TransposeB::kYes ? n : k);
    b.Append(matmul.transpose_b == graph::TransposeB::kYes ? k : n);
    Check(NodeOf(matmul), {a, b}, 3e-5F);
  }
}

TEST_F(RowKernels, Resize) {
  for (int i = 0; i < 3 * kRepeats; ++i) {
    const Shape in = ImageShape();
    graph::Resize resize;
    resize.mode = static_cast<graph::ResizeMode>(Draw(0, 1));
    resize.coordinates = static_cast<graph::ResizeCoordinates>(Draw(0, 3));
    resize.rounding = static_cast<graph::NearestRounding>(Draw(0, 3));
    const Shape out{in[0], Draw(1, 2 * in[1] + 3), Draw(1, 20), in[3]};
    resize.scale_h = static_cast<float>(out[1]) / static_cast<float>(in[1]);
    resize.scale_w = static_cast<float>(out[2]) / static_cast<float>(in[2]);
    Check(NodeOf(resize), {in}, 2e-6F, {}, out);
  }
}

TEST_F(RowKernels, Concat) {
  for (int i = 0; i < 2 * kRepeats; ++i) {
    const Shape shape = AnyShape();
    const graph::Concat concat{Draw(0, shape.rank() - 1)};
    std::vector<Shape> inputs(Draw(1, 4), shape);
    for (Shape& input : inputs) input.Set(concat.axis, Draw(1, 7));
    Check(NodeOf(concat), inputs, 0);
  }
}

TEST_F(RowKernels, Slice) {
  for (int i = 0; i < 2 * kRepeats; ++i) {
    const Shape in = AnyShape();
    graph::Slice slice;
    Shape out;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) {
      const uint32_t start = Draw(0, in[axis] - 1);
      const bool backward = Draw(0, 3) == 0;
      const uint32_t step = Draw(1, 2);
      const uint32_t room = backward ? start : in[axis] - 1 - start;
      out.Append(Draw(1, room / step + 1));
      slice.starts.push_back(start);
      slice.steps.push_back(backward ? -int64_t{step} : int64_t{step});
    }
    Check(NodeOf(slice), {in}, 0, {}, out);
  }
}

TEST_F(RowKernels, Transpose) {
  for (int i = 0; i < 3 * kRepeats; ++i) {
    const Shape in = AnyShape();
    graph::Transpose transpose;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) transpose.perm.push_back(axis);
    std::shuffle(transpose.perm.begin(), transpose.perm.end(), random_);
    Check(NodeOf(transpose), {in}, 0);
  }
}

TEST_F(RowKernels, Reshape) {
  for (int i = 0; i < kRepeats; ++i) {
    const uint32_t a = Draw(1, 6), b = Draw(1, 6), c = Draw(1, 6), d = Draw(1, 6);
    const std::vector<Shape> shapes{{a, b, c, d},    {a * b, c * d},   {a, b, c * d},
                                    {a * b * c * d}, {1, a * b, c, d}, {a, b * c, d}};
    const auto last = static_cast<uint32_t>(shapes.size() - 1);
    Check(NodeOf(graph::Reshape{}), {shapes[Draw(0, last)]}, 0, {}, shapes[Draw(0, last)]);
  }
}

TEST_F(RowKernels, Pad) {
  for (int i = 0; i < 2 * kRepeats; ++i) {
    const Shape in = AnyShape();
    graph::Pad pad;
    pad.mode = static_cast<graph::PadMode>(Draw(0, 2));
    pad.value = 7;
    for (uint32_t axis = 0; axis < in.rank(); ++axis) {
      const uint32_t most = pad.mode == graph::PadMode::kReflect ? std::min(3U, in[axis] - 1) : 3;
      pad.before.push_back(Draw(0, most));
      pad.after.push_back(Draw(0, most));
    }
    Check(NodeOf(pad), {in}, 0);
  }
}

TEST_F(RowKernels, Reorg) {
  for (int i = 0; i < kRepeats / 2; ++i) {
    const uint32_t s = Draw(1, 3);
    const Shape in{Draw(1, 2), s * Draw(1, 4), s * Draw(1, 4), s * s * Draw(1, 6)};
    Check(NodeOf(graph::Reorg{s}), {in}, 0);
  }
}

}  // namespace
}  // namespace coracle::kernels

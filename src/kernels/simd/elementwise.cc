// Affine, Unary, Binary.
#include <algorithm>

#include "base/checked.h"
#include "base/index.h"
#include "kernels/packing.h"
#include "kernels/simd/broadcast.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/elementwise.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/activation-inl.h"
#include "kernels/simd/pow-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Floats between two passes over the same memory: they stay in the first-level cache.
constexpr uint32_t kBlockFloats = 2048;

void Unary(const RowArgs& args, RowRange rows) {
  const graph::Activation& activation = args.node->activation;
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const Rows& out = image.output;
    const size_t row = size_t{out.pixels} * out.channels;
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      if (in.DenseRow() && out.DenseRow()) {
        ActivateRun(activation, in.Row(y), out.Row(y), row);
        continue;
      }
      for (uint32_t x = 0; x < out.pixels; ++x) {
        ActivateRun(activation, in.Pixel(y, x), out.Pixel(y, x), out.channels);
      }
    }
  }
}

/// The node's activation over pixels [begin, end) of an output row, in place.
void ActivatePixels(const RowArgs& args, const Rows& out, uint32_t y, uint32_t begin,
                    uint32_t end) {
  const graph::Activation& activation = args.node->activation;
  if (activation.kind == ActivationKind::kNone) return;
  float* first = out.Pixel(y, begin);
  if (out.DenseRow()) {
    return ActivateRun(activation, first, first, size_t{end - begin} * out.channels);
  }
  for (uint32_t x = begin; x < end; ++x) {
    ActivateRun(activation, out.Pixel(y, x), out.Pixel(y, x), out.channels);
  }
}

HWY_INLINE void AffinePixel(const float* in, const float* scale, const float* shift, float* out,
                            size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  size_t c = 0;
  for (; c + lanes <= count; c += lanes) {
    const FloatVec y =
        hn::MulAdd(hn::LoadU(d, in + c), hn::LoadU(d, scale + c), hn::LoadU(d, shift + c));
    hn::StoreU(y, d, out + c);
  }
  if (c == count) return;
  // The constants are padded to a multiple of 16 floats.
  const FloatVec y =
      hn::MulAdd(LoadSome(in + c, count - c), hn::LoadU(d, scale + c), hn::LoadU(d, shift + c));
  StoreSome(y, out + c, count - c);
}

void Affine(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const Rows& out = image.output;
    const float* scale = args.constants;
    const float* shift = scale + RoundUp(out.channels, kPanelGranule);
    const uint32_t block = std::max(1U, kBlockFloats / out.channels);
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t begin = 0; begin < out.pixels; begin += block) {
        const uint32_t end = std::min(begin + block, out.pixels);
        for (uint32_t x = begin; x < end; ++x) {
          AffinePixel(in.Pixel(y, x), scale, shift, out.Pixel(y, x), out.channels);
        }
        ActivatePixels(args, out, y, begin, end);
      }
    }
  }
}

struct AddOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Add(a, b); }
};
struct SubOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Sub(a, b); }
};
struct MulOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Mul(a, b); }
};
struct DivOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Div(a, b); }
};
struct MaxOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Max(a, b); }
};
struct MinOp {
  HWY_INLINE FloatVec operator()(FloatVec a, FloatVec b) const { return hn::Min(a, b); }
};

/// Consecutive elements, or one element again and again.
template <size_t kStep>
struct Lane {
  const float* p;
  HWY_INLINE FloatVec Load(size_t i) const {
    if constexpr (kStep == 0) return Splat(*p);
    return hn::LoadU(FloatTag(), p + i);
  }
  HWY_INLINE FloatVec LoadPart(size_t i, size_t count) const {
    if constexpr (kStep == 0) return Splat(*p);
    return LoadSome(p + i, count);
  }
};

template <class Op, size_t kLeft, size_t kRight>
HWY_INLINE void CombineLanes(Lane<kLeft> left, Lane<kRight> right, float* out, size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(Op()(left.Load(i), right.Load(i)), d, out + i);
  }
  if (i == count) return;
  const size_t some = count - i;
  StoreSome(Op()(left.LoadPart(i, some), right.LoadPart(i, some)), out + i, some);
}

/// out[i] = left[i left_step] op right[i right_step].
using CombineRun = void (*)(const float* left, size_t left_step, const float* right,
                            size_t right_step, float* out, size_t count);

template <class Op>
HWY_NOINLINE void Combine(const float* left, size_t left_step, const float* right,
                          size_t right_step, float* out, size_t count) {
  if (left_step == 0 && right_step == 0) {
    return CombineLanes<Op>(Lane<0>{left}, Lane<0>{right}, out, count);
  }
  if (left_step == 0) return CombineLanes<Op>(Lane<0>{left}, Lane<1>{right}, out, count);
  if (right_step == 0) return CombineLanes<Op>(Lane<1>{left}, Lane<0>{right}, out, count);
  CombineLanes<Op>(Lane<1>{left}, Lane<1>{right}, out, count);
}

HWY_NOINLINE void SquareRun(const float* left, size_t left_step, const float* /*right*/,
                            size_t /*right_step*/, float* out, size_t count) {
  Combine<MulOp>(left, left_step, left, left_step, out, count);
}

/// `exponent`: a constant one for all elements, or null.
CombineRun RunFor(graph::BinaryKind kind, const float* exponent) {
  switch (kind) {
    case graph::BinaryKind::kAdd:
      return Combine<AddOp>;
    case graph::BinaryKind::kSub:
      return Combine<SubOp>;
    case graph::BinaryKind::kMul:
      return Combine<MulOp>;
    case graph::BinaryKind::kDiv:
      return Combine<DivOp>;
    case graph::BinaryKind::kPow:
      return exponent != nullptr && *exponent == 2 ? SquareRun : PowRun;
    case graph::BinaryKind::kMax:
      return Combine<MaxOp>;
    case graph::BinaryKind::kMin:
      return Combine<MinOp>;
  }
  return Combine<AddOp>;
}

void CombinePixels(const BroadcastOperand& left, const BroadcastOperand& right, CombineRun run,
                   const Rows& out, uint32_t y, uint32_t begin, uint32_t end) {
  const float* l = left.Pixel(y, begin);
  const float* r = right.Pixel(y, begin);
  for (uint32_t x = begin; x < end; ++x) {
    run(l, left.channel_step(), r, right.channel_step(), out.Pixel(y, x), out.channels);
    if (x + 1 == end) break;
    l = left.Regular() ? l + left.pixel_step() : left.Pixel(y, x + 1);
    r = right.Regular() ? r + right.pixel_step() : right.Pixel(y, x + 1);
  }
}

void CombineRows(const RowArgs& args, const BroadcastOperand& left, const BroadcastOperand& right,
                 CombineRun run, const Rows& out, RowRange rows) {
  const bool whole = left.WholeRow() && right.WholeRow() && out.DenseRow();
  const uint32_t block = std::max(1U, kBlockFloats / out.channels);
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    for (uint32_t begin = 0; begin < out.pixels; begin += block) {
      const uint32_t end = std::min(begin + block, out.pixels);
      if (whole) {
        const size_t first = size_t{begin} * out.channels;
        const size_t count = size_t{end - begin} * out.channels;
        run(left.Pixel(y, 0) + first * left.channel_step(), left.channel_step(),
            right.Pixel(y, 0) + first * right.channel_step(), right.channel_step(),
            out.Row(y) + first, count);
      } else {
        CombinePixels(left, right, run, out, y, begin, end);
      }
      ActivatePixels(args, out, y, begin, end);
    }
  }
}

void Binary(const RowArgs& args, RowRange rows) {
  const graph::Graph& graph = *args.graph;
  const auto& binary = std::get<graph::Binary>(args.node->attrs);
  const Shape& shape = graph.shape(args.node->output);
  const Shape& first = graph.shape(args.node->inputs[0]);
  const bool one_constant =
      binary.operands == graph::Operands::kConstantRight && binary.constant_shape.Elements() == 1;
  const CombineRun run = RunFor(binary.kind, one_constant ? args.constants : nullptr);
  for (const Image& image : args.images) {
    const BroadcastOperand left(shape, first, image.inputs[0]);
    const BroadcastOperand right =
        binary.operands == graph::Operands::kTensors
            ? BroadcastOperand(shape, graph.shape(args.node->inputs[1]), image.inputs[1])
            : BroadcastOperand(shape, binary.constant_shape, args.constants);
    const bool swapped = binary.operands == graph::Operands::kConstantLeft;
    CombineRows(args, swapped ? right : left, swapped ? left : right, run, image.output, rows);
  }
}

}  // namespace

void AddElementwise(KernelSet& set) {
  set.rows[Position(graph::OpKind::kAffine)] = Affine;
  set.rows[Position(graph::OpKind::kUnary)] = Unary;
  set.rows[Position(graph::OpKind::kBinary)] = Binary;
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddElementwiseKernels(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddElementwise, set)
}

}  // namespace coracle::kernels
#endif

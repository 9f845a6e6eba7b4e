// LayerNorm, Softmax, DetectionHead: each pixel by itself.
#include <cmath>

#include "base/checked.h"
#include "base/index.h"
#include "kernels/kernel.h"
#include "kernels/packing.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/norm.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/activation-inl.h"
#include "kernels/simd/reduce-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Calls op(in, out, channels) for every pixel.
template <class Op>
HWY_INLINE void ForEachPixel(const RowArgs& args, RowRange rows, const Op& op) {
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const Rows& out = image.output;
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < out.pixels; ++x) op(in.Pixel(y, x), out.Pixel(y, x), out.channels);
    }
  }
}

/// Sum of (x - mean)^2.
HWY_INLINE float SumOfSquares(const float* in, float mean, size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  const FloatVec m = Splat(mean);
  FloatVec sum = Splat(0);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const FloatVec x = hn::Sub(hn::LoadU(d, in + i), m);
    sum = hn::MulAdd(x, x, sum);
  }
  if (i < count) {
    const FloatVec x = hn::Sub(LoadSomeOr(m, in + i, count - i), m);
    sum = hn::MulAdd(x, x, sum);
  }
  return SumReduction::Finish(sum);
}

struct LayerNormOp {
  const float* scale;
  const float* bias;
  float epsilon;

  HWY_INLINE void operator()(const float* in, float* out, size_t count) const {
    const FloatTag d;
    const size_t lanes = FloatLanes();
    const auto n = static_cast<float>(count);
    const float mean = ReduceRun<SumReduction>(in, count) / n;
    const float variance = SumOfSquares(in, mean, count) / n;
    const FloatVec m = Splat(mean);
    const FloatVec inverse = Splat(1 / std::sqrt(variance + epsilon));
    size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const FloatVec x = hn::Mul(hn::Sub(hn::LoadU(d, in + i), m), inverse);
      hn::StoreU(hn::MulAdd(x, hn::LoadU(d, scale + i), hn::LoadU(d, bias + i)), d, out + i);
    }
    if (i == count) return;
    // The constants are padded to a multiple of 16 floats.
    const FloatVec x = hn::Mul(hn::Sub(LoadSome(in + i, count - i), m), inverse);
    StoreSome(hn::MulAdd(x, hn::LoadU(d, scale + i), hn::LoadU(d, bias + i)), out + i, count - i);
  }
};

void LayerNorm(const RowArgs& args, RowRange rows) {
  const uint32_t channels = args.graph->shape(args.node->output).Back(0);
  LayerNormOp op{args.constants, args.constants + RoundUp(channels, kPanelGranule),
                 std::get<graph::LayerNorm>(args.node->attrs).epsilon};
  ForEachPixel(args, rows, op);
}

struct ScaleOp {
  FloatVec factor;
  HWY_INLINE FloatVec operator()(FloatTag /*d*/, FloatVec x) const { return hn::Mul(x, factor); }
};

struct SoftmaxOp {
  HWY_INLINE void operator()(const float* in, float* out, size_t count) const {
    const FloatTag d;
    const size_t lanes = FloatLanes();
    const FloatVec largest = Splat(ReduceRun<MaxReduction>(in, count));
    FloatVec sum = Splat(0);
    size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const FloatVec e = Exp(hn::Sub(hn::LoadU(d, in + i), largest));
      sum = hn::Add(sum, e);
      hn::StoreU(e, d, out + i);
    }
    if (i < count) {
      const FloatVec e = Exp(hn::Sub(LoadSome(in + i, count - i), largest));
      sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(d, count - i), e));
      StoreSome(e, out + i, count - i);
    }
    const ScaleOp scale{Splat(1 / SumReduction::Finish(sum))};
    TransformRun(scale, out, out, count);
  }
};

void Softmax(const RowArgs& args, RowRange rows) { ForEachPixel(args, rows, SoftmaxOp()); }

/// One pixel's boxes: 4 coordinates, objectness, classes each.
struct DetectionHeadOp {
  const graph::DetectionHead& head;

  HWY_INLINE void operator()(const float* in, float* out, size_t /*count*/) const {
    const graph::Activation sigmoid{graph::ActivationKind::kSigmoid};
    const bool softmax =
        head.kind == graph::DetectionHeadKind::kRegion && head.softmax != 0 && head.classes > 0;
    const size_t entries = size_t{5} + head.classes;
    for (uint32_t box = 0; box < head.boxes; ++box) {
      ActivateRun(sigmoid, in, out, 2);
      out[2] = in[2];
      out[3] = in[3];
      ActivateRun(sigmoid, in + 4, out + 4, softmax ? 1 : entries - 4);
      if (softmax) SoftmaxOp()(in + 5, out + 5, head.classes);
      in += entries;
      out += entries;
    }
  }
};

void DetectionHead(const RowArgs& args, RowRange rows) {
  ForEachPixel(args, rows, DetectionHeadOp{std::get<graph::DetectionHead>(args.node->attrs)});
}

}  // namespace

void AddNorm(KernelSet& set) {
  set.rows[Position(graph::OpKind::kLayerNorm)] = LayerNorm;
  set.rows[Position(graph::OpKind::kSoftmax)] = Softmax;
  set.rows[Position(graph::OpKind::kDetectionHead)] = DetectionHead;
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddNormKernels(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddNorm, set)
}

}  // namespace coracle::kernels
#endif

#include <algorithm>
#include <cstring>

#include "base/index.h"
#include "kernels/kernel.h"
#include "kernels/resize_axis.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/resize.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

struct CopyOp {
  HWY_INLINE FloatVec operator()(FloatTag /*d*/, FloatVec x) const { return x; }
};

/// Four pixels and their weights.
struct Corners {
  const float* pixels[4];
  float weights[4];
};

struct WholeLoad {
  HWY_INLINE FloatVec operator()(const float* p) const { return hn::LoadU(FloatTag(), p); }
};
struct PartLoad {
  size_t count;
  HWY_INLINE FloatVec operator()(const float* p) const { return LoadSome(p, count); }
};

template <class Load>
HWY_INLINE FloatVec Blend(const Corners& corners, size_t c, Load load) {
  FloatVec sum = hn::Mul(load(corners.pixels[0] + c), Splat(corners.weights[0]));
  sum = hn::MulAdd(load(corners.pixels[1] + c), Splat(corners.weights[1]), sum);
  sum = hn::MulAdd(load(corners.pixels[2] + c), Splat(corners.weights[2]), sum);
  return hn::MulAdd(load(corners.pixels[3] + c), Splat(corners.weights[3]), sum);
}

HWY_INLINE void BlendPixel(const Corners& corners, float* out, size_t channels) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  size_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    hn::StoreU(Blend(corners, c, WholeLoad()), d, out + c);
  }
  if (c == channels) return;
  StoreSome(Blend(corners, c, PartLoad{channels - c}), out + c, channels - c);
}

void ResizeRow(const graph::Resize& resize, const Rows& in, const Rows& out, uint32_t y) {
  const ResizeTap v = TapOf(resize, resize.scale_h, in.rows, out.rows, y);
  const bool linear = resize.mode == graph::ResizeMode::kLinear;
  for (uint32_t x = 0; x < out.pixels; ++x) {
    const ResizeTap h = TapOf(resize, resize.scale_w, in.pixels, out.pixels, x);
    if (out.element_bytes == 1) {  // nearest only
      std::memcpy(out.Pixel<uint8_t>(y, x), in.Pixel<uint8_t>(v.low, h.low), out.channels);
      continue;
    }
    if (!linear) {
      TransformRun(CopyOp(), in.Pixel(v.low, h.low), out.Pixel(y, x), out.channels);
      continue;
    }
    const Corners corners{{in.Pixel(v.low, h.low), in.Pixel(v.low, h.high), in.Pixel(v.high, h.low),
                           in.Pixel(v.high, h.high)},
                          {v.low_weight * h.low_weight, v.low_weight * h.high_weight,
                           v.high_weight * h.low_weight, v.high_weight * h.high_weight}};
    BlendPixel(corners, out.Pixel(y, x), out.channels);
  }
}

void Resize(const RowArgs& args, RowRange rows) {
  const auto& resize = std::get<graph::Resize>(args.node->attrs);
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      ResizeRow(resize, image.inputs[0], image.output, y);
    }
  }
}

}  // namespace

void AddResize(KernelSet& set) { set.rows[Position(graph::OpKind::kResize)] = Resize; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddResizeKernel(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddResize, set)
}

}  // namespace coracle::kernels
#endif

// Reductions of one run of floats, in a lane order that depends on its length alone. Included once
// per Highway target.

#if defined(CORACLE_KERNELS_SIMD_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_REDUCE_INL_H_
#undef CORACLE_KERNELS_SIMD_REDUCE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_REDUCE_INL_H_
#endif

#include <limits>

#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

struct SumReduction {
  static HWY_INLINE FloatVec Start() { return Splat(0); }
  static HWY_INLINE FloatVec Join(FloatVec a, FloatVec b) { return hn::Add(a, b); }
  static HWY_INLINE float Finish(FloatVec v) { return hn::GetLane(hn::SumOfLanes(FloatTag(), v)); }
};
struct MaxReduction {
  static HWY_INLINE FloatVec Start() { return Splat(-std::numeric_limits<float>::infinity()); }
  static HWY_INLINE FloatVec Join(FloatVec a, FloatVec b) { return hn::Max(a, b); }
  static HWY_INLINE float Finish(FloatVec v) { return hn::GetLane(hn::MaxOfLanes(FloatTag(), v)); }
};
struct MinReduction {
  static HWY_INLINE FloatVec Start() { return Splat(std::numeric_limits<float>::infinity()); }
  static HWY_INLINE FloatVec Join(FloatVec a, FloatVec b) { return hn::Min(a, b); }
  static HWY_INLINE float Finish(FloatVec v) { return hn::GetLane(hn::MinOfLanes(FloatTag(), v)); }
};

template <class Reduction>
HWY_INLINE float ReduceRun(const float* in, size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  FloatVec a = Reduction::Start();
  FloatVec b = Reduction::Start();
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    a = Reduction::Join(a, hn::LoadU(d, in + i));
    b = Reduction::Join(b, hn::LoadU(d, in + i + lanes));
  }
  if (i + lanes <= count) {
    a = Reduction::Join(a, hn::LoadU(d, in + i));
    i += lanes;
  }
  if (i < count) b = Reduction::Join(b, LoadSomeOr(Reduction::Start(), in + i, count - i));
  return Reduction::Finish(Reduction::Join(a, b));
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

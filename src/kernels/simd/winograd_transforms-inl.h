// Winograd's transforms along one axis, for tiles of 2 and 4 outputs (Lavin and Gray,
// arXiv:1509.09308, 4.1 and 4.3): inputs (B^T), weights (G) and sums (A^T). Included once per
// Highway target. The same operations in the same order on every target.

#if defined(CORACLE_KERNELS_SIMD_WINOGRAD_TRANSFORMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_WINOGRAD_TRANSFORMS_INL_H_
#undef CORACLE_KERNELS_SIMD_WINOGRAD_TRANSFORMS_INL_H_
#else
#define CORACLE_KERNELS_SIMD_WINOGRAD_TRANSFORMS_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/simd/panels_tile-inl.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

/// a * factor + c, rounded once.
HWY_INLINE FloatVec AddTimes(FloatVec a, float factor, FloatVec c) {
  return FusedMulAdd(a, hn::Set(FloatTag(), factor), c);
}
HWY_INLINE FloatVec Times(FloatVec a, float factor) {
  return hn::Mul(a, hn::Set(FloatTag(), factor));
}

/// Transforms of a tile of kOutputs along one axis.
template <int kOutputs>
struct WinogradAxis;

template <>
struct WinogradAxis<4> {
  static constexpr int kInputs = 6;

  static HWY_INLINE void Inputs(const FloatVec (&d)[6], FloatVec (&r)[6]) {
    const FloatVec even = AddTimes(d[2], -4.0F, d[4]);
    const FloatVec odd = AddTimes(d[1], -4.0F, d[3]);
    const FloatVec outer = hn::Sub(d[4], d[2]);
    const FloatVec inner = hn::Sub(d[3], d[1]);
    r[0] = AddTimes(d[0], 4.0F, AddTimes(d[2], -5.0F, d[4]));
    r[1] = hn::Add(even, odd);
    r[2] = hn::Sub(even, odd);
    r[3] = AddTimes(inner, 2.0F, outer);
    r[4] = AddTimes(inner, -2.0F, outer);
    r[5] = AddTimes(d[1], 4.0F, AddTimes(d[3], -5.0F, d[5]));
  }

  static HWY_INLINE void Weights(const FloatVec (&g)[3], FloatVec (&r)[6]) {
    const FloatVec sixth = Times(hn::Add(g[0], g[2]), -1.0F / 6);
    const FloatVec middle = Times(g[1], -1.0F / 6);
    const FloatVec ends = AddTimes(g[0], 1.0F / 24, Times(g[2], 1.0F / 6));
    const FloatVec twelfth = Times(g[1], 1.0F / 12);
    r[0] = Times(g[0], 0.25F);
    r[1] = hn::Add(sixth, middle);
    r[2] = hn::Sub(sixth, middle);
    r[3] = hn::Add(ends, twelfth);
    r[4] = hn::Sub(ends, twelfth);
    r[5] = g[2];
  }

  static HWY_INLINE void Sums(const FloatVec (&m)[6], FloatVec (&r)[4]) {
    const FloatVec a = hn::Add(m[1], m[2]);
    const FloatVec b = hn::Sub(m[1], m[2]);
    const FloatVec c = hn::Add(m[3], m[4]);
    const FloatVec d = hn::Sub(m[3], m[4]);
    r[0] = hn::Add(hn::Add(m[0], a), c);
    r[1] = AddTimes(d, 2.0F, b);
    r[2] = AddTimes(c, 4.0F, a);
    r[3] = hn::Add(AddTimes(d, 8.0F, b), m[5]);
  }
};

template <>
struct WinogradAxis<2> {
  static constexpr int kInputs = 4;

  static HWY_INLINE void Inputs(const FloatVec (&d)[4], FloatVec (&r)[4]) {
    r[0] = hn::Sub(d[0], d[2]);
    r[1] = hn::Add(d[1], d[2]);
    r[2] = hn::Sub(d[2], d[1]);
    r[3] = hn::Sub(d[1], d[3]);
  }

  static HWY_INLINE void Weights(const FloatVec (&g)[3], FloatVec (&r)[4]) {
    const FloatVec ends = Times(hn::Add(g[0], g[2]), 0.5F);
    const FloatVec middle = Times(g[1], 0.5F);
    r[0] = g[0];
    r[1] = hn::Add(ends, middle);
    r[2] = hn::Sub(ends, middle);
    r[3] = g[2];
  }

  static HWY_INLINE void Sums(const FloatVec (&m)[4], FloatVec (&r)[2]) {
    r[0] = hn::Add(hn::Add(m[0], m[1]), m[2]);
    r[1] = hn::Sub(hn::Sub(m[1], m[2]), m[3]);
  }
};

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

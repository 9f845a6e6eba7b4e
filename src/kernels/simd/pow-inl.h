// x^y over runs, in float64 (Highway's own exp and log) and rounded once. Branch-free. Included
// once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_POW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_POW_INL_H_
#undef CORACLE_KERNELS_SIMD_POW_INL_H_
#else
#define CORACLE_KERNELS_SIMD_POW_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

using DoubleTag = hn::ScalableTag<double>;
using DoubleVec = hn::Vec<DoubleTag>;

HWY_INLINE DoubleVec SplatDouble(double value) { return hn::Set(DoubleTag(), value); }

/// |x|^y for |x| not 0 or infinite; the ends of float64's range stand for 0 and infinity.
HWY_INLINE DoubleVec PowFinite(DoubleVec magnitude, DoubleVec y) {
  const DoubleTag d;
  const DoubleVec power = hn::Mul(y, hn::Log(d, magnitude));
  return hn::Exp(d, hn::Min(hn::Max(power, SplatDouble(-700)), SplatDouble(700)));
}

HWY_INLINE DoubleVec Pow(DoubleVec x, DoubleVec y) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const DoubleVec zero = SplatDouble(0);
  const DoubleVec magnitude = hn::Abs(x);
  const auto is_zero = hn::Eq(x, zero);
  const auto is_infinite = hn::Eq(magnitude, SplatDouble(kInfinity));
  const auto is_edge = hn::Or(is_zero, is_infinite);
  DoubleVec result = PowFinite(hn::IfThenElse(is_edge, SplatDouble(1), magnitude), y);
  // 0^y and infinity^y: 0 or infinity by the sign of y.
  const auto grows = hn::Xor(is_zero, hn::Gt(y, zero));
  result = hn::IfThenElse(is_edge, hn::IfThenElse(grows, SplatDouble(kInfinity), zero), result);
  const auto integer = hn::Eq(hn::Round(y), y);
  const DoubleVec half = hn::Mul(y, SplatDouble(0.5));
  const auto odd = hn::AndNot(hn::Eq(hn::Round(half), half), integer);
  const auto negative = hn::Lt(x, zero);
  result = hn::IfThenElse(hn::And(negative, odd), hn::Neg(result), result);
  const auto undefined = hn::AndNot(hn::Or(integer, is_infinite), negative);
  const DoubleVec nan = SplatDouble(std::numeric_limits<double>::quiet_NaN());
  result = hn::IfThenElse(undefined, nan, result);
  result = hn::IfThenElse(hn::Eq(x, x), result, nan);
  return hn::IfThenElse(hn::Eq(y, zero), SplatDouble(1), result);
}

/// out[i] = left[i left_step] ^ right[i right_step], steps 0 or 1. `out` may be either operand.
inline HWY_NOINLINE void PowRun(const float* left, size_t left_step, const float* right,
                                size_t right_step, float* out, size_t count) {
  const DoubleTag d;
  const hn::Rebind<float, DoubleTag> df;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN float x[hn::MaxLanes(DoubleTag())];
  HWY_ALIGN float y[hn::MaxLanes(DoubleTag())];
  for (size_t i = 0; i < count; i += lanes) {
    const size_t some = std::min(lanes, count - i);
    for (size_t j = 0; j < lanes; ++j) {
      x[j] = j < some ? left[(i + j) * left_step] : 1;
      y[j] = j < some ? right[(i + j) * right_step] : 1;
    }
    const DoubleVec power =
        Pow(hn::PromoteTo(d, hn::Load(df, x)), hn::PromoteTo(d, hn::Load(df, y)));
    hn::Store(hn::DemoteTo(df, power), df, x);
    for (size_t j = 0; j < some; ++j) out[i + j] = x[j];
  }
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

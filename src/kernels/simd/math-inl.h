// Elementary functions without branches or table look-ups, so that time and addresses tell nothing
// of the values. Relative error below 2e-7 unless stated. Included once per Highway target.
//
// Exp, Log and Tanh use the polynomials of Cephes (S. Moshier, expf.c, logf.c, tanhf.c); Erf those
// of N. Juffa's erff (two pieces joined at 0.921875).

#if defined(CORACLE_KERNELS_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_MATH_INL_H_
#undef CORACLE_KERNELS_SIMD_MATH_INL_H_
#else
#define CORACLE_KERNELS_SIMD_MATH_INL_H_
#endif

#include <limits>

#include "hwy/highway.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;
using IntVec = hn::Vec<IntTag>;

HWY_INLINE FloatVec Splat(float value) { return hn::Set(FloatTag(), value); }

/// 2^n. Requires: -127 <= n <= 128 (0 and infinity at the ends).
HWY_INLINE FloatVec PowerOfTwo(IntVec n) {
  const IntTag di;
  return hn::BitCast(FloatTag(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}

/// x = n ln 2 + r, |r| <= ln 2 / 2.
struct ExpParts {
  IntVec n;
  FloatVec r;
};

HWY_INLINE ExpParts SplitExp(FloatVec x) {
  const FloatVec n = hn::Round(hn::Mul(x, Splat(1.44269504088896341F)));
  FloatVec r = hn::NegMulAdd(n, Splat(0.693359375F), x);
  r = hn::MulAdd(n, Splat(2.12194440e-4F), r);
  return {hn::ConvertTo(IntTag(), n), r};
}

/// exp(r) - 1 for |r| <= ln 2 / 2.
HWY_INLINE FloatVec ExpM1Reduced(FloatVec r) {
  FloatVec p = Splat(1.9875691500e-4F);
  p = hn::MulAdd(p, r, Splat(1.3981999507e-3F));
  p = hn::MulAdd(p, r, Splat(8.3334519073e-3F));
  p = hn::MulAdd(p, r, Splat(4.1665795894e-2F));
  p = hn::MulAdd(p, r, Splat(1.6666665459e-1F));
  p = hn::MulAdd(p, r, Splat(5.0000001201e-1F));
  return hn::MulAdd(p, hn::Mul(r, r), r);
}

HWY_INLINE FloatVec Exp(FloatVec x) {
  const FloatVec clamped = hn::Min(hn::Max(x, Splat(-104.0F)), Splat(89.0F));
  const ExpParts parts = SplitExp(clamped);
  const FloatVec mantissa = hn::Add(ExpM1Reduced(parts.r), Splat(1));
  // Two steps: 2^128 is no float, and 2^-150 neither.
  const IntVec half = hn::ShiftRight<1>(parts.n);
  const FloatVec result =
      hn::Mul(hn::Mul(mantissa, PowerOfTwo(half)), PowerOfTwo(hn::Sub(parts.n, half)));
  return hn::IfThenElse(hn::Eq(x, x), result, x);
}

/// exp(x) - 1 for x <= 0.
HWY_INLINE FloatVec ExpM1NonPositive(FloatVec x) {
  const ExpParts parts = SplitExp(hn::Max(x, Splat(-87.0F)));
  const FloatVec power = PowerOfTwo(parts.n);
  return hn::MulAdd(power, ExpM1Reduced(parts.r), hn::Sub(power, Splat(1)));
}

/// log(1 + m) for sqrt(1/2) <= 1 + m < sqrt(2), and e ln 2 added to it.
HWY_INLINE FloatVec LogReduced(FloatVec m, FloatVec e) {
  const FloatVec z = hn::Mul(m, m);
  FloatVec p = Splat(7.0376836292e-2F);
  p = hn::MulAdd(p, m, Splat(-1.1514610310e-1F));
  p = hn::MulAdd(p, m, Splat(1.1676998740e-1F));
  p = hn::MulAdd(p, m, Splat(-1.2420140846e-1F));
  p = hn::MulAdd(p, m, Splat(1.4249322787e-1F));
  p = hn::MulAdd(p, m, Splat(-1.6668057665e-1F));
  p = hn::MulAdd(p, m, Splat(2.0000714765e-1F));
  p = hn::MulAdd(p, m, Splat(-2.4999993993e-1F));
  p = hn::MulAdd(p, m, Splat(3.3333331174e-1F));
  FloatVec y = hn::Mul(hn::Mul(p, m), z);
  y = hn::MulAdd(e, Splat(-2.12194440e-4F), y);
  y = hn::NegMulAdd(Splat(0.5F), z, y);
  return hn::MulAdd(e, Splat(0.693359375F), hn::Add(m, y));
}

/// Subnormals count as zero.
HWY_INLINE FloatVec Log(FloatVec x) {
  const FloatTag d;
  const IntTag di;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // The exponent that brings the mantissa between sqrt(1/2) and sqrt(2).
  const IntVec bits = hn::BitCast(di, x);
  const IntVec shifted = hn::Sub(bits, hn::Set(di, 0x3F3504F3));
  const IntVec e = hn::ShiftRight<23>(shifted);
  const FloatVec mantissa = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(e)));
  FloatVec y = LogReduced(hn::Sub(mantissa, Splat(1)), hn::ConvertTo(d, e));
  y = hn::IfThenElse(hn::Eq(x, Splat(kInfinity)), x, y);
  y = hn::IfThenElse(hn::Lt(x, Splat(std::numeric_limits<float>::min())), Splat(-kInfinity), y);
  const auto valid = hn::Ge(x, Splat(0));
  return hn::IfThenElse(valid, y, Splat(std::numeric_limits<float>::quiet_NaN()));
}

/// log(1 + t) for t >= 0.
HWY_INLINE FloatVec Log1pNonNegative(FloatVec t) {
  const FloatVec u = hn::Add(t, Splat(1));
  const FloatVec lost = hn::Sub(t, hn::Sub(u, Splat(1)));
  return hn::Add(Log(u), hn::Div(lost, u));
}

HWY_INLINE FloatVec Tanh(FloatVec x) {
  const FloatVec z = hn::Mul(x, x);
  FloatVec p = Splat(-5.70498872745e-3F);
  p = hn::MulAdd(p, z, Splat(2.06390887954e-2F));
  p = hn::MulAdd(p, z, Splat(-5.37397155531e-2F));
  p = hn::MulAdd(p, z, Splat(1.33314422036e-1F));
  p = hn::MulAdd(p, z, Splat(-3.33332819422e-1F));
  const FloatVec small = hn::MulAdd(hn::Mul(p, z), x, x);
  const FloatVec magnitude = hn::Abs(x);
  const FloatVec power = Exp(hn::Add(magnitude, magnitude));
  const FloatVec large = hn::Sub(Splat(1), hn::Div(Splat(2), hn::Add(power, Splat(1))));
  return hn::IfThenElse(hn::Lt(magnitude, Splat(0.625F)), small, hn::CopySign(large, x));
}

HWY_INLINE FloatVec Erf(FloatVec x) {
  const FloatVec z = hn::Mul(x, x);
  FloatVec p = Splat(-5.96761703e-4F);
  p = hn::MulAdd(p, z, Splat(4.99119423e-3F));
  p = hn::MulAdd(p, z, Splat(-2.67681349e-2F));
  p = hn::MulAdd(p, z, Splat(1.12819925e-1F));
  p = hn::MulAdd(p, z, Splat(-3.76125336e-1F));
  p = hn::MulAdd(p, z, Splat(1.28379166e-1F));
  const FloatVec small = hn::MulAdd(p, x, x);
  const FloatVec t = hn::Min(hn::Abs(x), Splat(4));  // erf(4) rounds to 1
  const FloatVec s = hn::Mul(t, t);
  FloatVec r = hn::MulAdd(Splat(-1.72853470e-5F), t, Splat(3.83197126e-4F));
  const FloatVec u = hn::MulAdd(Splat(-3.88396438e-3F), t, Splat(2.42546219e-2F));
  r = hn::MulAdd(r, s, u);
  r = hn::MulAdd(r, t, Splat(-1.06777877e-1F));
  r = hn::MulAdd(r, t, Splat(-6.34846687e-1F));
  r = hn::MulAdd(r, t, Splat(-1.28717512e-1F));
  r = hn::MulAdd(r, t, hn::Neg(t));
  const FloatVec large = hn::CopySign(hn::Sub(Splat(1), Exp(r)), x);
  const FloatVec result = hn::IfThenElse(hn::Gt(t, Splat(0.921875F)), large, small);
  return hn::IfThenElse(hn::Eq(x, x), result, x);
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// The activation functions over vectors. Included once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_ACTIVATION_INL_H_
#undef CORACLE_KERNELS_SIMD_ACTIVATION_INL_H_
#else
#define CORACLE_KERNELS_SIMD_ACTIVATION_INL_H_
#endif

#include "graph/activation.h"
#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

using graph::ActivationKind;

HWY_INLINE FloatVec Sigmoid(FloatVec x) {
  return hn::Div(Splat(1), hn::Add(Splat(1), Exp(hn::Neg(x))));
}

HWY_INLINE FloatVec Softplus(FloatVec x) {
  return hn::Add(hn::Max(x, Splat(0)), Log1pNonNegative(Exp(hn::Neg(hn::Abs(x)))));
}

/// x tanh(log(1 + e)), e = exp(x): the tanh is (e^2 + 2 e) / (e^2 + 2 e + 2).
HWY_INLINE FloatVec Mish(FloatVec x) {
  const FloatVec e = Exp(hn::Min(x, Splat(20)));
  const FloatVec n = hn::Mul(e, hn::Add(e, Splat(2)));
  return hn::Mul(x, hn::Div(n, hn::Add(n, Splat(2))));
}

HWY_INLINE FloatVec Gelu(FloatVec x) {
  const FloatVec erf = Erf(hn::Mul(x, Splat(0.70710678118654752F)));
  return hn::Mul(hn::Mul(x, Splat(0.5F)), hn::Add(erf, Splat(1)));
}

HWY_INLINE FloatVec ClampedLine(FloatVec x, FloatVec a, FloatVec b) {
  return hn::Min(hn::Max(hn::MulAdd(a, x, b), Splat(0)), Splat(1));
}

HWY_INLINE FloatVec Elu(FloatVec x, FloatVec a) {
  const FloatVec below = hn::Mul(a, ExpM1NonPositive(hn::Min(x, Splat(0))));
  return hn::IfThenElse(hn::Gt(x, Splat(0)), x, below);
}

/// One activation function with its parameters.
template <ActivationKind kKind>
struct ActivationOp {
  FloatVec a, b;

  HWY_INLINE FloatVec operator()(FloatTag /*d*/, FloatVec x) const {
    if constexpr (kKind == ActivationKind::kRelu) return hn::Max(x, Splat(0));
    if constexpr (kKind == ActivationKind::kLeakyRelu) {
      return hn::IfThenElse(hn::Gt(x, Splat(0)), x, hn::Mul(a, x));
    }
    if constexpr (kKind == ActivationKind::kClip) return hn::Min(hn::Max(x, a), b);
    if constexpr (kKind == ActivationKind::kSigmoid) return Sigmoid(x);
    if constexpr (kKind == ActivationKind::kHardSigmoid) return ClampedLine(x, a, b);
    if constexpr (kKind == ActivationKind::kHardSwish) return hn::Mul(x, ClampedLine(x, a, b));
    if constexpr (kKind == ActivationKind::kSwish) {
      return hn::Div(x, hn::Add(Splat(1), Exp(hn::Neg(hn::Mul(a, x)))));
    }
    if constexpr (kKind == ActivationKind::kTanh) return Tanh(x);
    if constexpr (kKind == ActivationKind::kExp) return Exp(x);
    if constexpr (kKind == ActivationKind::kSqrt) return hn::Sqrt(x);
    if constexpr (kKind == ActivationKind::kErf) return Erf(x);
    if constexpr (kKind == ActivationKind::kGelu) return Gelu(x);
    if constexpr (kKind == ActivationKind::kAbs) return hn::Abs(x);
    if constexpr (kKind == ActivationKind::kNeg) return hn::Neg(x);
    if constexpr (kKind == ActivationKind::kReciprocal) return hn::Div(Splat(1), x);
    if constexpr (kKind == ActivationKind::kLog) return Log(x);
    if constexpr (kKind == ActivationKind::kElu) return Elu(x, a);
    if constexpr (kKind == ActivationKind::kSoftplus) return Softplus(x);
    if constexpr (kKind == ActivationKind::kMish) return Mish(x);
    if constexpr (kKind == ActivationKind::kFloor) return hn::Floor(x);
    if constexpr (kKind == ActivationKind::kCeil) return hn::Ceil(x);
    return x;
  }
};

template <ActivationKind kKind>
HWY_NOINLINE void ActivateRunOf(const graph::Activation& activation, const float* in, float* out,
                                size_t count) {
  const ActivationOp<kKind> op{Splat(activation.a), Splat(activation.b)};
  TransformRun(op, in, out, count);
}

/// out[i] = activation(in[i]); `out` may be `in`. Touches exactly `count` floats.
inline void ActivateRun(const graph::Activation& activation, const float* in, float* out,
                        size_t count) {
  using Run = void (*)(const graph::Activation&, const float*, float*, size_t);
  static constexpr Run kRuns[graph::kActivationKindCount] = {
      ActivateRunOf<ActivationKind::kNone>,      ActivateRunOf<ActivationKind::kRelu>,
      ActivateRunOf<ActivationKind::kLeakyRelu>, ActivateRunOf<ActivationKind::kClip>,
      ActivateRunOf<ActivationKind::kSigmoid>,   ActivateRunOf<ActivationKind::kHardSigmoid>,
      ActivateRunOf<ActivationKind::kHardSwish>, ActivateRunOf<ActivationKind::kSwish>,
      ActivateRunOf<ActivationKind::kTanh>,      ActivateRunOf<ActivationKind::kExp>,
      ActivateRunOf<ActivationKind::kSqrt>,      ActivateRunOf<ActivationKind::kErf>,
      ActivateRunOf<ActivationKind::kGelu>,      ActivateRunOf<ActivationKind::kAbs>,
      ActivateRunOf<ActivationKind::kNeg>,       ActivateRunOf<ActivationKind::kReciprocal>,
      ActivateRunOf<ActivationKind::kLog>,       ActivateRunOf<ActivationKind::kElu>,
      ActivateRunOf<ActivationKind::kSoftplus>,  ActivateRunOf<ActivationKind::kMish>,
      ActivateRunOf<ActivationKind::kFloor>,     ActivateRunOf<ActivationKind::kCeil>};
  kRuns[static_cast<size_t>(activation.kind)](activation, in, out, count);
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

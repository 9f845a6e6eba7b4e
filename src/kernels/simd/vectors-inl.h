// Whole and partial vectors of floats, and loops over runs of them. Included once per Highway
// target. A partial load or store touches the named floats and nothing else.

#if defined(CORACLE_KERNELS_SIMD_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_VECTORS_INL_H_
#undef CORACLE_KERNELS_SIMD_VECTORS_INL_H_
#else
#define CORACLE_KERNELS_SIMD_VECTORS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

// The portable target is the last of a file and runs on no machine that has a TEE: its copy of all
// kernels is made to be small.
#if HWY_TARGET == HWY_SCALAR && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os")
#endif

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;

HWY_INLINE size_t FloatLanes() { return hn::Lanes(FloatTag()); }

/// Floats [p, p + count), zeros behind. Requires: 0 < count < FloatLanes().
HWY_INLINE FloatVec LoadSome(const float* p, size_t count) {
  const FloatTag d;
#if HWY_TARGET <= HWY_AVX2  // these mask without touching what is masked off
  return hn::MaskedLoad(hn::FirstN(d, count), d, p);
#elif HWY_TARGET == HWY_SCALAR  // one lane: never a part
  static_cast<void>(count);
  return hn::LoadU(d, p);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)] = {};
  std::memcpy(lanes, p, count * sizeof(float));
  return hn::Load(d, lanes);
#endif
}

/// As LoadSome, with `fill` behind.
HWY_INLINE FloatVec LoadSomeOr(FloatVec fill, const float* p, size_t count) {
  const FloatTag d;
  return hn::IfThenElse(hn::FirstN(d, count), LoadSome(p, count), fill);
}

HWY_INLINE void StoreSome(FloatVec v, float* p, size_t count) {
  const FloatTag d;
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#elif HWY_TARGET == HWY_SCALAR
  static_cast<void>(count);
  hn::StoreU(v, d, p);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, count * sizeof(float));
#endif
}

/// out[i] = op(in[i]); `out` may be `in`.
template <class Op>
HWY_INLINE void TransformRun(const Op& op, const float* in, float* out, size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(op(d, hn::LoadU(d, in + i)), d, out + i);
  if (i < count) StoreSome(op(d, LoadSome(in + i, count - i)), out + i, count - i);
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

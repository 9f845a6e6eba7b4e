// Between floats and uint8 over vectors (reference/quantize.h says what the bits are). Included
// once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_REQUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_REQUANTIZE_INL_H_
#undef CORACLE_KERNELS_SIMD_REQUANTIZE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_REQUANTIZE_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "graph/quantization.h"
#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/vectors-inl.h"

#undef CORACLE_INTEGER_KERNELS
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#define CORACLE_INTEGER_KERNELS 1
#else
#define CORACLE_INTEGER_KERNELS 0
#endif

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
#if CORACLE_INTEGER_KERNELS

using ByteTag = hn::Rebind<uint8_t, FloatTag>;

/// Rounds to even. Requires: in range of int32.
HWY_INLINE IntVec RoundInRange(FloatVec x) {
#if HWY_TARGET == HWY_AVX3
  return IntVec{_mm512_cvtps_epi32(x.raw)};
#else
  return IntVec{_mm256_cvtps_epi32(x.raw)};
#endif
}

/// The step from float to uint8, as integers of 0..255.
class Quantizer {
 public:
  explicit Quantizer(const graph::Quantization& to)
      : scale_(Splat(to.scale)),
        low_(Splat(-static_cast<float>(to.zero))),
        high_(Splat(255 - static_cast<float>(to.zero))),
        zero_(hn::Set(IntTag(), to.zero)),
        scales_(to.scale != 1) {}

  HWY_INLINE IntVec operator()(FloatVec x) const {
    if (scales_) x = hn::Div(x, scale_);
    x = hn::IfThenElseZero(hn::Eq(x, x), x);
    return hn::Add(RoundInRange(hn::Min(hn::Max(x, low_), high_)), zero_);
  }

 private:
  FloatVec scale_, low_, high_;
  IntVec zero_;
  bool scales_;
};

/// Stores `count` bytes, at most a vector's lanes. Requires: values of 0..255.
HWY_INLINE void StoreBytes(IntVec values, uint8_t* to, size_t count) {
#if HWY_TARGET == HWY_AVX3
  const auto mask = static_cast<__mmask16>((1U << count) - 1);
  _mm512_mask_cvtepi32_storeu_epi8(to, mask, values.raw);
#else
  const auto bytes = hn::DemoteTo(ByteTag(), values);
  if (count == hn::Lanes(ByteTag())) {
    hn::StoreU(bytes, ByteTag(), to);
    return;
  }
  HWY_ALIGN uint8_t lanes[hn::MaxLanes(FloatTag())];
  hn::StoreU(bytes, ByteTag(), lanes);
  std::memcpy(to, lanes, count);
#endif
}

/// `count` bytes, at most a vector's lanes, as integers; zeros behind.
HWY_INLINE IntVec LoadBytes(const uint8_t* from, size_t count) {
#if HWY_TARGET == HWY_AVX3
  const auto mask = static_cast<__mmask16>((1U << count) - 1);
  return IntVec{_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from))};
#else
  if (count == hn::Lanes(ByteTag())) {
    return hn::PromoteTo(IntTag(), hn::LoadU(ByteTag(), from));
  }
  HWY_ALIGN uint8_t lanes[hn::MaxLanes(FloatTag())] = {};
  std::memcpy(lanes, from, count);
  return hn::PromoteTo(IntTag(), hn::LoadU(ByteTag(), lanes));
#endif
}

/// scale (q - zero)
class Dequantizer {
 public:
  explicit Dequantizer(const graph::Quantization& from)
      : scale_(Splat(from.scale)), zero_(hn::Set(IntTag(), from.zero)) {}

  HWY_INLINE FloatVec operator()(IntVec q) const {
    return hn::Mul(hn::ConvertTo(FloatTag(), hn::Sub(q, zero_)), scale_);
  }

 private:
  FloatVec scale_;
  IntVec zero_;
};

/// out[i] = the quantised in[i]. Touches exactly `count` of each.
inline void QuantizeRun(const Quantizer& quantizer, const float* in, uint8_t* out, size_t count) {
  const size_t lanes = FloatLanes();
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    StoreBytes(quantizer(hn::LoadU(FloatTag(), in + i)), out + i, lanes);
  }
  if (i < count) StoreBytes(quantizer(LoadSome(in + i, count - i)), out + i, count - i);
}

#endif
}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// Dequantised rows of a quantised panel, as float32 rows that the panel kernels multiply. Included
// once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_DEQUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_DEQUANTIZE_INL_H_
#undef CORACLE_KERNELS_SIMD_DEQUANTIZE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_DEQUANTIZE_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

using WeightTag = hn::Rebind<uint8_t, FloatTag>;
using WordTag = hn::RebindToSigned<FloatTag>;

/// A panel's scales as floats.
struct PanelScales {
  HWY_ALIGN float values[kPanelChannels];

  void Load(const std::byte* halves, uint32_t width) {
    const FloatTag d;
    const hn::Rebind<uint16_t, FloatTag> half;
    const hn::RebindToUnsigned<FloatTag> word;
    for (uint32_t n = 0; n < width; n += static_cast<uint32_t>(FloatLanes())) {
      const auto* from = reinterpret_cast<const uint16_t*>(halves) + n;
      const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(word, hn::LoadU(half, from)));
      hn::Store(hn::BitCast(d, bits), d, values + n);
    }
  }
};

/// One row of int8.
HWY_INLINE void DequantizeInt8Row(const uint8_t* row, const PanelScales& scales, uint32_t width,
                                  float* out) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> bytes;
  for (uint32_t n = 0; n < width; n += static_cast<uint32_t>(FloatLanes())) {
    const auto q = hn::LoadU(bytes, reinterpret_cast<const int8_t*>(row) + n);
    const FloatVec value = hn::ConvertTo(d, hn::PromoteTo(WordTag(), q));
    hn::StoreU(hn::Mul(value, hn::Load(d, scales.values + n)), d, out + n);
  }
}

/// One row of halves of bytes, the lower or the upper ones.
template <bool kUpper>
HWY_INLINE void DequantizeInt4Row(const uint8_t* row, const PanelScales& scales, uint32_t width,
                                  float* out) {
  const FloatTag d;
  const WordTag word;
  for (uint32_t n = 0; n < width; n += static_cast<uint32_t>(FloatLanes())) {
    auto q = hn::PromoteTo(word, hn::LoadU(WeightTag(), row + n));
    if constexpr (kUpper) {
      q = hn::ShiftRight<4>(q);
    } else {
      q = hn::And(q, hn::Set(word, 15));
    }
    const FloatVec value = hn::ConvertTo(d, hn::Sub(q, hn::Set(word, 8)));
    hn::StoreU(hn::Mul(value, hn::Load(d, scales.values + n)), d, out + n);
  }
}

/// Rows [begin, end) of a panel's `text`, `text.width()` floats each. Requires: a quantised type;
/// `begin` a multiple of kQuantizedRowStep; `out` behind by a vector.
HWY_NOINLINE inline void DequantizeRows(const PanelText& panel, const std::byte* text,
                                        uint32_t begin, uint32_t end, float* out) {
  PanelScales scales;
  const uint32_t width = panel.width();
  const bool int8 = panel.type() == graph::WeightType::kInt8;
  for (uint32_t row = begin; row < end;) {
    const uint32_t stop =
        int8 ? end : std::min(end, row / kQuantizedRowStep * kQuantizedRowStep + kQuantizedRowStep);
    const bool upper = row % kInt4GroupRows >= kInt4GroupRows / 2;
    scales.Load(text + panel.ScalesAt(row), width);
    const auto* bytes = reinterpret_cast<const uint8_t*>(text + panel.RowAt(row));
    for (; row < stop; ++row, bytes += width, out += width) {
      if (int8) {
        DequantizeInt8Row(bytes, scales, width, out);
      } else if (upper) {
        DequantizeInt4Row<true>(bytes, scales, width, out);
      } else {
        DequantizeInt4Row<false>(bytes, scales, width, out);
      }
    }
  }
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// Quantisation of one value.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "graph/quantization.h"

namespace coracle::kernels::reference {

/// saturate(round_to_even(x / scale) + zero); of a NaN the zero point. The bounds are integers:
/// whether they are applied before or after rounding is the same.
inline uint8_t QuantizeValue(float x, const graph::Quantization& to) {
  float scaled = x / to.scale;
  if (std::isnan(scaled)) scaled = 0;
  const float zero = to.zero;
  const float bounded = std::min(std::max(scaled, -zero), 255 - zero);
  return static_cast<uint8_t>(static_cast<int>(std::nearbyint(bounded)) + to.zero);
}

inline float DequantizeValue(uint8_t q, const graph::Quantization& from) {
  return from.scale * static_cast<float>(int{q} - from.zero);
}

}  // namespace coracle::kernels::reference

// Scale and zero point of a quantised operand, as kernels use them.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "kernels/kernel.h"

namespace coracle::kernels {

/// What a QuantizationRange has found for one image: [1, 1, 2] float32. A zero point that is none
/// (no range made it) is brought into 0..255.
inline graph::Quantization RangeOf(const Rows& range) {
  const float* row = range.Row(0);
  float zero = row[1] > 0 ? row[1] : 0;  // of a NaN: 0
  zero = zero < 255 ? zero : 255;
  return {row[0], static_cast<uint8_t>(zero)};
}

/// `constant`, or the range that is the image's last operand.
inline graph::Quantization QuantizationOf(const graph::Quantization& constant,
                                          graph::QuantizationSource source, const Image& image) {
  return source == graph::QuantizationSource::kTensor ? RangeOf(image.inputs.back()) : constant;
}

}  // namespace coracle::kernels

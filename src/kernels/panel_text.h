// PanelText: how one panel's share of a kPanels chunk lies in it, by type of weight (packing.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "graph/quantization.h"

namespace coracle::kernels {

/// Rows of K that share a scale where weights are kInt4. A byte holds rows r (low half) and r + 16
/// of its column, each plus 8.
inline constexpr uint32_t kInt4GroupRows = 32;
/// Quantised panels can be read from multiples of this many rows of a chunk on.
inline constexpr uint32_t kQuantizedRowStep = 16;
/// Rows of K that a kernel dequantises at a time: 128 KiB of float32 in the worker's workspace.
inline constexpr uint32_t kDequantizedRowsMax = 512;

/// True for the types that kernels multiply as float32 after dequantising.
constexpr bool IsDequantized(graph::WeightType type) {
  return type == graph::WeightType::kInt8 || type == graph::WeightType::kInt4;
}

/// The float32 value of a bfloat16: its upper half.
inline float FromBFloat16(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}
/// Requires: a bfloat16 value.
inline uint16_t ToBFloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

/// `rows` rows of K of a panel of `width` columns, behind a row of biases where the chunk begins
/// the panel. kFloat32: the rows. kInt8: a bfloat16 scale a column, then the rows. kInt4: of each
/// 32 rows, a bfloat16 scale a column, then 16 rows of bytes. Quantised panels end at a multiple of
/// 64 bytes.
class PanelText {
 public:
  PanelText(graph::WeightType type, uint32_t width, uint32_t rows, bool begins_panel);

  graph::WeightType type() const { return type_; }
  uint32_t width() const { return width_; }
  uint32_t rows() const { return rows_; }
  bool begins_panel() const { return bias_bytes_ != 0; }
  uint64_t Bytes() const;

  /// Offset of the scales that row `row` is multiplied by. Requires: a quantised type.
  uint64_t ScalesAt(uint32_t row) const;
  /// Offset of row `row`'s bytes (kInt4: of the bytes that it shares).
  uint64_t RowAt(uint32_t row) const;
  /// Weight (row, column) of `text`, dequantised: scale * q, which is exact for kInt8.
  float Weight(const std::byte* text, uint32_t row, uint32_t column) const;

 private:
  uint64_t GroupBytes() const { return uint64_t{width_} * (2 + kInt4GroupRows / 2); }

  graph::WeightType type_;
  uint32_t width_ = 0, rows_ = 0;
  uint32_t bias_bytes_ = 0;
};

}  // namespace coracle::kernels

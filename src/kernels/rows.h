// Rows: where the rows of one tensor lie in memory, in the form that every kernel takes.
//
// A tensor in the pool, a band of it, a ring buffer and a slice of a concatenation all read the
// same: row y starts at Row(y), its pixels lie pixel_stride elements apart, each with `channels`
// contiguous elements. Elements are float32 unless the tensor is quantised: Row<uint8_t>(y).
#pragma once

#include <cstddef>
#include <cstdint>

namespace coracle::kernels {

struct Rows {
  void* base = nullptr;        ///< row 0 (of a ring: slot 0)
  ptrdiff_t row_stride = 0;    ///< elements from row to row
  ptrdiff_t pixel_stride = 0;  ///< elements from pixel to pixel; >= channels
  uint32_t ring_rows = 0;      ///< 0: linear. n: row y is in slot y % n
  uint32_t rows = 0;           ///< logical extent of this image
  uint32_t pixels = 0;
  uint32_t channels = 0;
  uint32_t element_bytes = sizeof(float);

  template <typename Element = float>
  Element* Row(uint32_t y) const {
    return static_cast<Element*>(base) +
           static_cast<ptrdiff_t>(ring_rows == 0 ? y : y % ring_rows) * row_stride;
  }
  template <typename Element = float>
  Element* Pixel(uint32_t y, uint32_t x) const {
    return Row<Element>(y) + static_cast<ptrdiff_t>(x) * pixel_stride;
  }
  /// Makes row `rows_before` the first. Requires: no ring.
  void SkipRows(uint64_t rows_before) {
    base = static_cast<std::byte*>(base) +
           static_cast<ptrdiff_t>(rows_before) * row_stride * static_cast<ptrdiff_t>(element_bytes);
  }
  /// All elements of a row contiguous.
  bool DenseRow() const { return pixels == 1 || pixel_stride == static_cast<ptrdiff_t>(channels); }
  /// All elements of the image contiguous.
  bool Dense() const {
    return DenseRow() && ring_rows == 0 &&
           (rows == 1 ||
            row_stride == static_cast<ptrdiff_t>(pixels) * static_cast<ptrdiff_t>(channels));
  }
};

/// Output rows [begin, end) of each image.
struct RowRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t count() const { return end - begin; }
};

}  // namespace coracle::kernels

// One axis of a Window, and which of its taps lie inside of the image.
#pragma once

#include <algorithm>
#include <cstdint>

#include "graph/op.h"
#include "kernels/rows.h"

namespace coracle::kernels {

struct WindowAxis {
  uint32_t kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;

  /// Input coordinate of a tap; outside of [0, extent) in the padding.
  int64_t Input(uint32_t out, uint32_t tap) const {
    return int64_t{out} * stride - pad_begin + int64_t{tap} * dilation;
  }
  /// Taps [begin, end) of output `out` whose inputs lie in [low, high).
  RowRange Taps(uint32_t out, int64_t low, int64_t high) const {
    const int64_t first = Input(out, 0);
    const int64_t begin = first >= low ? 0 : (low - first + dilation - 1) / dilation;
    const int64_t end = first >= high ? 0 : (high - first + dilation - 1) / dilation;
    const int64_t clipped_end = std::min<int64_t>(end, kernel);
    return {static_cast<uint32_t>(std::min(begin, clipped_end)),
            static_cast<uint32_t>(clipped_end)};
  }
};

inline WindowAxis VerticalAxis(const graph::Window& w) {
  return {w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom};
}
inline WindowAxis HorizontalAxis(const graph::Window& w) {
  return {w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right};
}

}  // namespace coracle::kernels

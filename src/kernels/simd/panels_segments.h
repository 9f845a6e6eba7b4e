// Segments: the K rows of a part as runs of contiguous input floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/panel_workspace.h"
#include "kernels/simd/panels_part.h"

namespace coracle::kernels {

enum class SegmentKind : uint8_t {
  kTaps,  ///< a segment lies in one pixel
  kRuns,  ///< a segment may run over the neighbouring pixels of one kernel row
};

/// K rows [k_begin, k_end) of a part. Held on the stack; at most kTileSegmentsMax segments.
struct SegmentList {
  struct Segment {
    uint32_t tap_y = 0;
    uint32_t run_begin = 0;  ///< first K row, counted from the kernel row's first
    int64_t tap_x = 0;       ///< input x of its first float, relative to the position's
    ptrdiff_t offset = 0;    ///< floats from the position's pixel to its first float
  };

  uint32_t count = 0;
  uint32_t k_end = 0;
  uint32_t pairs = 0;  ///< K rows in pairs within segments (the pace of prefetching)
  std::array<uint32_t, kTileSegmentsMax> lengths;
  std::array<Segment, kTileSegmentsMax> segments;

  /// Segments of at most `length_max` floats from k_begin on, up to `k_limit` or as far as the list
  /// reaches (`k_end`).
  void Build(const PanelPart& part, SegmentKind kind, uint32_t length_max, ptrdiff_t pixel_stride,
             uint32_t k_begin, uint32_t k_limit);
};

}  // namespace coracle::kernels

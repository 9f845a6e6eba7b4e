#include "kernels/simd/panels_segments.h"

#include <algorithm>

namespace coracle::kernels {

void SegmentList::Build(const PanelPart& part, SegmentKind kind, uint32_t length_max,
                        ptrdiff_t pixel_stride, uint32_t k_begin, uint32_t k_limit) {
  const uint32_t run = part.x.taps * part.inputs;
  const uint32_t unit = kind == SegmentKind::kTaps ? part.inputs : run;
  count = 0;
  pairs = 0;
  k_end = k_begin;
  while (k_end < k_limit && count < kTileSegmentsMax) {
    Segment& segment = segments[count];
    segment.tap_y = k_end / run;
    segment.run_begin = k_end % run;
    segment.tap_x = part.x.Tap(segment.run_begin / part.inputs);
    segment.offset = segment.tap_x * pixel_stride + part.input_begin +
                     static_cast<ptrdiff_t>(segment.run_begin % part.inputs);
    const uint32_t length = std::min({unit - k_end % unit, length_max, k_limit - k_end});
    lengths[count++] = length;
    pairs += length / 2;
    k_end += length;
  }
}

}  // namespace coracle::kernels

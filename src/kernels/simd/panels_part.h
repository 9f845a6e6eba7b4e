// A part of a node with panels (packing.h) as a correlation over output positions.
#pragma once

#include <cstdint>

#include "kernels/packing.h"
#include "kernels/rows.h"

namespace coracle::kernels {

/// One axis. Output position p is output coordinate `out_first + p out_step`, and its tap t reads
/// input coordinate `p in_step + tap_first + t tap_step` (outside of the image: zero).
struct PartAxis {
  uint32_t taps = 1;
  int64_t tap_first = 0;
  int64_t tap_step = 1;
  uint32_t in_step = 1;
  uint32_t out_first = 0;
  uint32_t out_step = 1;

  int64_t Tap(uint32_t t) const { return tap_first + int64_t{t} * tap_step; }
  /// Positions whose output coordinates lie in [begin, end).
  RowRange Positions(uint32_t begin, uint32_t end) const;
  /// Positions among [0, count) all of whose taps lie in [0, extent).
  RowRange Inside(uint32_t count, uint32_t extent) const;
};

struct PanelPart {
  PartAxis y, x;
  uint32_t input_begin = 0;  ///< first input channel
  uint32_t inputs = 0;       ///< input channels
};

PanelPart PartOf(const graph::Graph& graph, const graph::Node& node, const PanelGeometry& panel);

}  // namespace coracle::kernels

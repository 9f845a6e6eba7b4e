// How packing.cc and pack_chunk.cc see the parts of a node with panels (packing.h says what a part
// is).
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "kernels/packing.h"

namespace coracle::kernels {

/// What all parts of a node with panels have in common.
struct Partition {
  uint32_t groups = 1;
  uint32_t phases_y = 1, phases_x = 1;
  uint32_t inputs_per_group = 0;
  uint32_t outputs_per_group = 0;
  graph::Window window;  // of a Dense: one tap
  bool transposed = false;

  uint32_t PanelsPerPart() const {
    return (outputs_per_group + kPanelChannels - 1) / kPanelChannels;
  }
  uint32_t Parts() const { return groups * phases_y * phases_x; }
};

Partition PartitionOf(const graph::Graph& graph, const graph::Node& node);
PartTaps TapsOfPart(const Partition& partition, uint32_t phase_y, uint32_t phase_x);
/// Rows of K of a part with these taps.
uint64_t KRows(const PartTaps& taps);
PanelGeometry PanelOf(const Partition& partition, uint32_t panel);

}  // namespace coracle::kernels

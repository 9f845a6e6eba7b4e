// Schedule: the exact actions of one segment, and the rows that its windows must hold.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/segments.h"

namespace coracle::plan {

/// Rows that a segment keeps of one tensor.
struct Ring {
  graph::TensorIndex tensor{};
  uint32_t rows = 0;
  uint32_t block_rows = 0;  ///< 0: the segment makes it and reads it up; else it lies outside
};

struct Schedule {
  std::vector<Action> actions;  ///< indices: parts in the nodes' order; windows as `rings`
  std::vector<Ring> rings;
  /// RowFlow::BytesBelow of the stretch's overlay, exactly.
  int64_t bytes_below = INT64_MIN;
};

/// Of one input (kTogetherFlow: of all). Rows are made on demand of the outputs, as RowFlow tells.
/// Requires: not an elided stretch.
Schedule MakeSchedule(const World& world, const Stretch& stretch, uint32_t flow);

}  // namespace coracle::plan

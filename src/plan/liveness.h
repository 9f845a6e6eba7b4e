// Liveness: from which step to which step each tensor is needed, for steps in the graph's order.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace coracle::plan {

/// A step's place in the order of execution.
using StepNumber = uint32_t;

/// Steps at which one tensor must be in the pool, both included.
struct LiveRange {
  StepNumber first = 0;  ///< graph inputs: 0, else the producer
  /// The last consumer (or `first`); a graph output: one past the last step of all.
  StepNumber last = 0;
  bool is_input = false;
};

/// By TensorIndex. Requires: a verified graph.
std::vector<LiveRange> LiveRangesOf(const graph::Graph& graph);

/// Rows of one tensor, those of all images.
uint32_t AllRows(const graph::Graph& graph, graph::TensorIndex tensor);

}  // namespace coracle::plan

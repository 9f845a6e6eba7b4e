// Homes: which tensors lie sealed outside of the pool, and in blocks of how many rows.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/row_flow.h"

namespace coracle::plan {

/// By TensorIndex: rows of a block; 0: the tensor is not outside.
using BlockRows = std::vector<uint32_t>;

/// Graph inputs and outputs of several rows are outside (row sources and sinks), and every other
/// tensor of at least `spill_bytes` that lives past the node that makes it (kUnlimited: none).
BlockRows ChooseOutside(const graph::Graph& graph, const Uses& uses, uint64_t spill_bytes);

/// Bytes of the counters of a tensor's blocks, those of all inputs.
uint64_t CounterBytes(const graph::Convoy& convoy, graph::TensorIndex tensor, uint32_t block_rows);

/// Sizes of tensors from large to small at which spilling more of them may pay; ends with one that
/// spills all that can be.
std::vector<uint64_t> SpillLevels(const graph::Graph& graph);

}  // namespace coracle::plan

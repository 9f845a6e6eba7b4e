// Outside rows: the tensors of a plan that lie sealed in host memory, as a RowStore and the steps
// see them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"
#include "runtime/row_store.h"

namespace coracle::runtime {

/// One tensor with Home::kOutside, cut into blocks of rows, input after input of the convoy.
struct OutsideRows {
  StoreSlot slot{};
  uint32_t rows = 0;  ///< of one input
  uint32_t block_rows = 0;
  uint64_t row_bytes = 0;
  std::span<SealCounter> counters;  ///< in the pool, one for each block

  uint32_t blocks_per_input = 1;

  uint64_t BlockBytes(uint32_t block) const;
};

/// The plan's tensors with Home::kOutside, ascending: what its RowStore is made with.
std::vector<StoredTensor> StoredTensorsOf(const graph::Graph& graph, const plan::Plan& plan);

/// Requires: plan::Validate(graph, plan) succeeded; `tensor` has Home::kOutside; the store was made
/// with StoredTensorsOf(graph, plan).
OutsideRows BindOutside(const graph::Graph& graph, const plan::Plan& plan,
                        graph::TensorIndex tensor, std::byte* pool);

}  // namespace coracle::runtime

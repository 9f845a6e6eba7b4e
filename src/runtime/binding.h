// Binding: a plan's steps turned into kernel arguments over one pool, so that running them only
// calls kernels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "kernels/kernel.h"
#include "plan/plan.h"

namespace coracle::runtime {

/// A run of chunks, [begin, end) of the node's list, that completes the panels it touches: the unit
/// in which workers share a layer by panels.
struct ChunkGroup {
  uint32_t begin = 0;
  uint32_t end = 0;
};

/// One step, ready to run. Spans in `images` view `operands` of the same object.
struct BoundStep {
  const plan::Step* step = nullptr;
  const graph::Node* node = nullptr;
  std::vector<kernels::Rows> operands;  ///< images x inputs
  std::vector<kernels::Image> images;
  std::vector<ChunkGroup> groups;
  kernels::PanelKernel panel_kernel = nullptr;  ///< one of the two kernels is set unless elided
  kernels::RowKernel row_kernel = nullptr;
  uint32_t output_rows = 0;  ///< the extent that RowRange divides
  uint64_t end_bytes = 0;    ///< end of the highest pool byte that the step uses
};

/// The rows of a tensor where the plan has placed it. `image` picks one of RowsOf(shape).images;
/// whole tensors (kernels::PerImage false) are one image of all rows.
kernels::Rows PlaceRows(const graph::Graph& graph, const plan::Plan& plan,
                        graph::TensorIndex tensor, std::byte* pool, bool per_image, uint32_t image);

/// Requires: plan::Validate(graph, plan) succeeded, and pool has plan.pool_bytes. All must outlive
/// the result.
std::vector<BoundStep> BindSteps(const graph::Graph& graph, const plan::Plan& plan,
                                 const kernels::KernelSet& kernels, std::span<std::byte> pool);

}  // namespace coracle::runtime

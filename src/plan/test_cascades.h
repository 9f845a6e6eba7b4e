// Cascade plans made without any search, for the tests of what checks and runs plans: each step's
// rows are asked for from its last node backwards, rings are as small as that order allows, and
// every buffer lies behind the one before it.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// What happens to the granules (kernels::RowGranule) of a node's rows.
enum class Granules : uint8_t {
  kWhole = 0,  ///< actions begin and end between them, as the planner's do
  kCut = 1,    ///< actions take no notice of them: right, but slower
};

struct CascadeOptions {
  /// Nodes (by position, ascending, not 0) that begin a step of their own. A node whose result has
  /// several images is always alone. Steps of one node without windows get Form::kLayer or kBand.
  std::vector<uint32_t> cuts;
  uint32_t rows_per_action = 1;  ///< of every node's output (results of several images: all)
  Granules granules = Granules::kWhole;
  /// kStreamed: constants are held nonetheless. kPinned: all are.
  WeightsMode weights = WeightsMode::kHeld;
  uint32_t workers = 1;
  /// Of nodes with weights that can be divided so; all others by rows. Ignored with one worker.
  Split split = Split::kRows;
  /// Tensors that lie outside. Requires: CanLieOutside().
  std::vector<graph::TensorIndex> outside;
  uint32_t block_rows = 1;  ///< of each tensor outside, at most its rows
  uint32_t batch = 1;       ///< inputs of the convoy. Requires: graph::WithBatch() succeeds
  /// kTogether: of the steps of one node without windows; those of several images in one action.
  Turns turns = Turns::kOneByOne;
};

/// True for tensors of one image.
bool CanLieOutside(const graph::Graph& graph, graph::TensorIndex tensor);

/// A plan without elision or reuse of memory between tensors; the steps' scratch and windows share
/// theirs. Requires: a verified, packed kRows graph.
Plan MakeCascadePlan(const graph::Graph& graph, const CascadeOptions& options);

}  // namespace coracle::plan

// Step options: the ways to do one step, from fast and large to slow and small.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"
#include "plan/cost.h"
#include "plan/pack.h"
#include "plan/plan.h"
#include "plan/storage.h"

namespace coracle::plan {

/// One way to do one step, and what it takes beside the step's live storages.
struct StepOption {
  Form form = Form::kLayer;
  uint32_t band_rows = 0;
  Manner manner;
  uint64_t slot_bytes = 0;       ///< per worker
  uint64_t workspace_bytes = 0;  ///< per worker
  uint64_t held_bytes = 0;
  std::optional<Overlay> overlay;  ///< kBand: storages (by StorageIndex) that may overlap
  uint64_t saved_bytes = 0;        ///< that the overlay spares at best
  double ms = 0;

  uint64_t ScratchBytes() const {
    return (slot_bytes + workspace_bytes) * manner.workers + held_bytes;
  }
};

/// Ways to do `step`, fastest first, each needing less memory than those before it. Requires: the
/// step is not elided.
std::vector<StepOption> OptionsOf(const graph::Graph& graph, StepNumber step,
                                  const std::vector<LiveRange>& ranges, const StorageMap& map,
                                  const PlanRequest& request);

/// What `node` needs beside its tensors at the very least.
uint64_t LeastScratchBytes(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::plan

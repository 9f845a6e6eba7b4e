// Ladder: all the plans that one way of sharing storages allows, from the fastest to the smallest.
//
// A rung is a threshold of bytes; on it each step takes its fastest option that, with the storages
// live at it, stays within the threshold. Lower rungs are never faster. The rungs depend on the
// graph, the rates and the threads only, not on the budget: that is what makes a larger budget
// never slower.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plan/pack.h"
#include "plan/plan.h"
#include "plan/step_options.h"
#include "plan/storage.h"

namespace coracle::plan {

/// Most thresholds that are tried.
inline constexpr size_t kMaxRungs = 256;

class Ladder {
 public:
  /// `graph` and `ranges` must outlive the ladder.
  Ladder(const graph::Graph& graph, const std::vector<LiveRange>& ranges, StorageMap map,
         const PlanRequest& request);

  /// The fastest plan whose pool fits `budget_bytes`, if any that takes less than `ms_limit`.
  std::optional<Plan> Fastest(uint64_t budget_bytes, double ms_limit) const;

  /// The plan with the smallest pool, if it is smaller than `limit_bytes`.
  std::optional<Plan> Smallest(uint64_t limit_bytes) const;

 private:
  struct Rung {
    std::vector<const StepOption*> options;  ///< by step; null: elided
    std::vector<uint64_t> loads;             ///< by step: live bytes
    uint64_t load_bytes = 0;                 ///< the highest
    double ms = 0;
  };
  /// Indices of the buffers of a step's scratch; kNoBuffer: none.
  struct Scratch {
    uint32_t slots, workspaces, held;
  };
  struct Layout;

  Rung RungAt(size_t index) const;
  Plan Assemble(const Rung& rung) const;
  Layout BuffersOf(const Rung& rung) const;
  Step StepOf(StepNumber step, const Rung& rung, const Layout& layout,
              const Packing& packing) const;

  const graph::Graph& graph_;
  const StorageMap map_;
  std::vector<uint64_t> base_loads_;              // by step: bytes of live storages
  std::vector<std::vector<StepOption>> options_;  // by step; empty: elided
  std::vector<uint64_t> thresholds_;              // descending
};

}  // namespace coracle::plan

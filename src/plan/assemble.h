// Assemble: a choice of segments turned into a plan, every buffer with its offset.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/pack.h"
#include "plan/plan.h"
#include "plan/search.h"
#include "plan/segments.h"

namespace coracle::plan {

/// What a plan is made of besides the choice.
struct Recipe {
  const World* world = nullptr;
  /// By NodeNumber: the node in the caller's graph.
  const std::vector<graph::NodeIndex>* order = nullptr;
  /// By NodeNumber: weights kept between predictions. Empty: none.
  std::vector<bool> pinned;
  uint64_t search_work = kQuickSearchWork;  ///< PackLimits
};

/// The plan, with budget_bytes unlimited. Its times are those of `rates`.
Plan Assemble(const Recipe& recipe, const Choice& choice, const MachineRates& rates);

}  // namespace coracle::plan

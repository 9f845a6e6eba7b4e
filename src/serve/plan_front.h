// PlanFront: the plans that a model is served with, from few bytes to many, for one input and for
// convoys, for one worker and for several.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "serve/served_model.h"

namespace coracle::serve {

struct FrontSettings {
  /// Of secure memory, for the model, its plans and one runner: no choice is larger than what the
  /// first two leave of it.
  uint64_t budget_bytes = 0;
  uint32_t threads_max = 1;
  uint32_t batch_max = 16;  ///< 1 where the network mixes inputs
  plan::MachineRates rates;
};

/// Most choices of one front. Each keeps its plan in secure memory, in all kPlansShare of the
/// budget at most, and kPlansBytesMax.
inline constexpr size_t kFrontMax = 40;
inline constexpr uint64_t kPlansShare = 16;
inline constexpr uint64_t kPlansBytesMax = uint64_t{4} << 20;

struct PlannedChoice {
  PlanChoice choice;
  plan::Plan plan;
};

/// True if whoever may take `b` does better with `a`: no larger, no more inputs, no more workers,
/// and as fast per input.
bool Dominates(const PlanChoice& a, const PlanChoice& b);

/// Ascending bytes, none dominated by another. Batches are powers of two up to the settings' (at
/// most), so are workers (and the most), and a choice is kept only if it saves a few per cent of
/// the time per input: so there are a few for each batch and number of workers. `model_bytes`: what
/// the open model takes (ManifestBytes). Requires: a verified, packed kRows graph; 1 <= threads_max
/// <= plan::kMaxThreads; batch_max >= 1. Errors: kOutOfBudget, naming needed and available bytes.
Result<std::vector<PlannedChoice>> PlanFront(const graph::Graph& graph, uint64_t model_bytes,
                                             const FrontSettings& settings);

}  // namespace coracle::serve

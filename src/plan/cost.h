// The cost model: how long a step takes, from what it multiplies, opens and moves.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// A step predicted to take less than this on one worker is not worth waking others for.
inline constexpr double kOneWorkerMs = 0.02;

/// What a node costs whatever its form.
struct Work {
  uint64_t multiply_adds = 0;
  uint64_t weight_bytes = 0;
  uint64_t activation_bytes = 0;  ///< inputs and output
  uint64_t moved_bytes = 0;       ///< of those, what no multiplication hides
  uint32_t rows = 0;              ///< output rows as kernels::PerImage() counts them
  uint32_t panel_groups = 0;      ///< groups of chunks that complete their panels; 0: no panels
};

/// How the work is to be done.
struct Manner {
  WeightsMode weights = WeightsMode::kNone;
  Split split = Split::kNone;
  uint32_t workers = 1;
  uint32_t bands = 1;
};

Work WorkOf(const graph::Graph& graph, const graph::Node& node);

double PredictMs(const Work& work, const Manner& manner, const MachineRates& rates);

}  // namespace coracle::plan

// The cost model: how long things take, from what they multiply, open and move, at rates measured
// on this machine.
#pragma once

#include <cstdint>

#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/node_cost.h"
#include "plan/plan.h"

namespace coracle::plan {

/// What beginning a step takes.
inline constexpr double kStepMs = 0.001;

/// One worker's milliseconds to compute `rows` output rows (of each image) of `node` in one action,
/// its weights already open and in the cache. Rows as kernels::PerImage() counts them. Who asks
/// often keeps a NodeCost.
double ComputeMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                 const MachineRates& rates);

/// One worker's milliseconds to open all chunks of the node once.
double OpenMs(const graph::Node& node, const MachineRates& rates);

/// One worker's milliseconds to seal, or to open, `blocks` blocks of rows, `bytes` in all.
double TransferMs(uint64_t bytes, uint64_t blocks, const MachineRates& rates);

/// One worker's milliseconds that a step of pieces waits for a tensor of `bytes` that another step
/// made, or will read, as a whole: no piece of it is in the cache any more. (A whole layer's own
/// time counts that.)
double BorderMs(uint64_t bytes, const MachineRates& rates);

/// How the actions of one part are done.
struct Manner {
  WeightsMode weights = WeightsMode::kNone;
  Split split = Split::kNone;
  uint32_t workers = 1;
  /// Bytes of all open weights that the step's actions use in turn, this part's among them.
  uint64_t open_bytes = 0;
};

/// Milliseconds of one compute action in this manner, the opening of streamed weights and the
/// workers' barrier included.
double ActionMs(const NodeCost& cost, const graph::Node& node, uint32_t rows, const Manner& manner);
double ActionMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                const Manner& manner, const MachineRates& rates);

/// Milliseconds of a whole step: its actions, the opening of held weights and the first reading of
/// all that it opens; of all inputs of the convoy.
double StepMs(const graph::Convoy& convoy, const Plan& plan, const Step& step,
              const MachineRates& rates);

/// Groups of chunks that complete their panels, which workers may share; 0: no panels.
uint32_t PanelGroups(const graph::WeightLayout& weights);

}  // namespace coracle::plan

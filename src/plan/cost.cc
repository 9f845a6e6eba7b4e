#include "plan/cost.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

// Estimates of fixed costs beside the kernels': one more action, and two crossings of a spinning
// barrier.
constexpr double kActionMs = 0.0001;
constexpr double kBarrierMs = 0.003;

constexpr double kMsPerNs = 1e-6;

/// Bytes of open weights that the step's actions go through.
uint64_t OpenBytes(const graph::Graph& graph, const Step& step) {
  uint64_t bytes = 0;
  for (const Part& part : step.parts) {
    if (part.weights == WeightsMode::kHeld || part.weights == WeightsMode::kPinned) {
      bytes += graph.node(part.node).weights.TotalBytes();
    }
  }
  return bytes;
}

bool InPool(const Plan& plan, graph::TensorIndex tensor) {
  return plan.tensors[Position(tensor)].home == Home::kPool;
}

/// BorderMs of all tensors of the pool that the step's pieces read or write.
double BordersMs(const graph::Convoy& convoy, const Plan& plan, const Step& step,
                 const MachineRates& rates) {
  const graph::Graph& graph = convoy.one();
  std::vector<graph::TensorIndex> tensors;
  for (const Part& part : step.parts) {
    const graph::Node& node = graph.node(part.node);
    tensors.push_back(node.output);
    tensors.insert(tensors.end(), node.inputs.begin(), node.inputs.end());
  }
  std::sort(tensors.begin(), tensors.end());
  tensors.erase(std::unique(tensors.begin(), tensors.end()), tensors.end());
  double ms = 0;
  for (const graph::TensorIndex tensor : tensors) {
    if (InPool(plan, tensor)) ms += BorderMs(convoy.batch() * TensorBytes(graph, tensor), rates);
  }
  return ms;
}

double SealedRowsMs(const graph::Graph& graph, const Plan& plan, const Window& window,
                    uint64_t rows, const MachineRates& rates) {
  const uint32_t block_rows = std::max(1U, plan.tensors[Position(window.tensor)].block_rows);
  return TransferMs(rows * RowBytes(graph, window.tensor), CeilDiv(rows, block_rows), rates);
}

}  // namespace

uint32_t PanelGroups(const graph::WeightLayout& weights) {
  uint32_t groups = 0;
  for (const graph::ChunkDescriptor& chunk : weights.chunks) {
    if (chunk.kind == graph::ChunkKind::kConstant) return 0;
    if (chunk.kind == graph::ChunkKind::kDepthwise || chunk.k_begin == 0) ++groups;
  }
  return groups;
}

double ComputeMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                 const MachineRates& rates) {
  return NodeCost(graph, node, rates).Compute(rows);
}

double OpenMs(const graph::Node& node, const MachineRates& rates) {
  return OpenWeightsNs(node, rates) * kMsPerNs;
}

double TransferMs(uint64_t bytes, uint64_t blocks, const MachineRates& rates) {
  return OpenNs(bytes, blocks, rates) * kMsPerNs;
}

double BorderMs(uint64_t bytes, const MachineRates& rates) {
  return FarShare(bytes) * static_cast<double>(bytes) / rates.activation_gbps * kMsPerNs;
}

double ActionMs(const NodeCost& cost, const graph::Node& node, uint32_t rows,
                const Manner& manner) {
  const uint32_t workers = manner.split == Split::kNone ? 1 : manner.workers;
  const bool by_panels = manner.split == Split::kPanels && workers > 1;
  // The worker with the most groups of chunks, or the most granules of rows.
  double share = 1;
  uint32_t mine = rows;
  if (by_panels) {
    const uint64_t groups = std::max(1U, PanelGroups(node.weights));
    share = static_cast<double>(CeilDiv(groups, workers)) / static_cast<double>(groups);
  } else {
    const uint32_t granule = kernels::RowGranule(node);
    const uint64_t granules = CeilDiv(CeilDiv(rows, granule), workers);
    mine = static_cast<uint32_t>(std::min<uint64_t>(granules * granule, rows));
  }
  const bool streamed = manner.weights == WeightsMode::kStreamed;
  double ms = kActionMs + share * (streamed ? cost.Stream(mine) : cost.Compute(mine));
  if (manner.weights == WeightsMode::kHeld || manner.weights == WeightsMode::kPinned) {
    ms += share * cost.FarWeights(mine, FarShare(std::max(manner.open_bytes, cost.weight_bytes())));
  }
  return manner.workers > 1 ? ms + kBarrierMs : ms;
}

double ActionMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                const Manner& manner, const MachineRates& rates) {
  return ActionMs(NodeCost(graph, node, rates), node, rows, manner);
}

double StepMs(const graph::Convoy& convoy, const Plan& plan, const Step& step,
              const MachineRates& rates) {
  const bool together = step.turns == Turns::kTogether;
  const graph::Graph& graph = together ? convoy.all() : convoy.one();
  double ms = kStepMs;
  const uint64_t open_bytes = OpenBytes(graph, step);
  std::vector<NodeCost> costs;
  costs.reserve(step.parts.size());
  for (const Part& part : step.parts) {
    costs.emplace_back(graph, graph.node(part.node), rates);
    const bool held = part.weights == WeightsMode::kHeld;
    if (held) ms += costs.back().Open() / step.workers;
    if (held || part.weights == WeightsMode::kStreamed) {
      ms += costs.back().FirstRead() / step.workers;
    }
  }
  const auto computes =
      std::count_if(step.actions.begin(), step.actions.end(),
                    [](const Action& action) { return action.kind == ActionKind::kCompute; });
  if (computes > static_cast<std::ptrdiff_t>(step.parts.size())) {
    ms += BordersMs(convoy, plan, step, rates) / step.workers;
  }
  double actions_ms = 0;
  for (const Action& action : step.actions) {
    const uint32_t rows = action.end - action.begin;
    if (action.kind != ActionKind::kCompute) {
      actions_ms += SealedRowsMs(graph, plan, step.windows[action.index], rows, rates);
      continue;
    }
    const Part& part = step.parts[action.index];
    actions_ms += ActionMs(costs[action.index], graph.node(part.node), rows,
                           {part.weights, part.split, step.workers, open_bytes});
  }
  return ms + (together ? 1 : convoy.batch()) * actions_ms;
}

}  // namespace coracle::plan

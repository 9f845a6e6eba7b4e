#include "plan/node_times.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;

Split SplitFor(const Graph& graph, const Node& node, const NodeCost& cost, WeightsMode weights,
               uint32_t rows, uint32_t workers) {
  if (workers == 1 || kernels::CarriesRows(node)) return Split::kNone;
  const uint32_t groups = PanelGroups(node.weights);
  const uint32_t granule = kernels::RowGranule(node);
  const bool by_rows = CeilDiv(rows, granule) >= workers;
  if (granule > 1 && by_rows && groups >= workers) {
    // Every share of the rows transforms all weights, every share of the panels all inputs.
    const auto ms = [&](Split split) {
      return ActionMs(cost, node, rows, {weights, split, workers});
    };
    return ms(Split::kPanels) < ms(Split::kRows) ? Split::kPanels : Split::kRows;
  }
  uint64_t activation_bytes = TensorBytes(graph, node.output);
  for (graph::TensorIndex input : node.inputs) activation_bytes += TensorBytes(graph, input);
  if (groups >= 2 * workers && node.weights.TotalBytes() > activation_bytes) return Split::kPanels;
  if (by_rows) return Split::kRows;
  return groups >= workers ? Split::kPanels : Split::kNone;
}

/// The sum of `ms_of(rows)` over the node's actions, `rows` rows each.
template <typename MsOf>
double OverActions(uint32_t all, uint32_t rows, MsOf ms_of) {
  double ms = (all / rows) * ms_of(rows);
  if (all % rows != 0) ms += ms_of(all % rows);
  return ms;
}

}  // namespace

bool MustBeHeld(const Node& node) {
  return !node.weights.chunks.empty() && node.weights.chunks[0].kind == graph::ChunkKind::kConstant;
}

uint64_t PooledWeightBytes(const Node& node) {
  return RoundUp(node.weights.TotalBytes(), kPoolAlignment);
}

void RankByDensity(std::vector<WeightSaving>& savings) {
  std::sort(savings.begin(), savings.end(), [](const WeightSaving& a, const WeightSaving& b) {
    return a.Density() != b.Density() ? a.Density() > b.Density() : a.node < b.node;
  });
}

NodeTimes::NodeTimes(const graph::Convoy& convoy, const std::vector<RowFlow>& flows,
                     uint32_t workers, const MachineRates& rates)
    : workers_(workers) {
  for (NodeNumber number = 0; number < convoy.one().nodes.size(); ++number) {
    const Node& node = convoy.one().nodes[number];
    const NodeCost one_cost(convoy.one(), node, rates);
    const NodeCost all_cost(convoy.all(), node, rates);
    const WeightsMode held = node.weights.chunks.empty() ? WeightsMode::kNone : WeightsMode::kHeld;
    for (uint32_t flow = 0; flow < kFlowCount; ++flow) {
      const bool together = flow == kTogetherFlow;
      const Graph& graph = together ? convoy.all() : convoy.one();
      const NodeCost& cost = together ? all_cost : one_cost;
      const uint32_t turns = together ? 1 : convoy.batch();
      const uint32_t all = OutputRows(graph, node);
      const uint32_t rows =
          flow >= kWholeFlow ? all : std::min(flows[flow].firing_rows(number), all);
      const auto actions_ms = [&](WeightsMode weights, Split split) {
        return turns * OverActions(all, rows, [&](uint32_t count) {
                 return ActionMs(cost, node, count, {weights, split, workers});
               });
      };
      NodeTime time;
      time.held_split = SplitFor(graph, node, cost, held, rows, workers);
      if (held == WeightsMode::kHeld) time.open_ms = (cost.Open() + cost.FirstRead()) / workers;
      time.held_ms = time.open_ms + actions_ms(held, time.held_split);
      time.far_ms =
          turns * (1 - FarShare(cost.weight_bytes())) *
          OverActions(all, rows, [&](uint32_t n) { return cost.FarWeights(n, 1) / workers; });
      time.streamed_split = time.held_split;
      time.streamed_ms = time.held_ms;
      if (held == WeightsMode::kHeld && !MustBeHeld(node)) {
        time.streamed_split = SplitFor(graph, node, cost, WeightsMode::kStreamed, rows, workers);
        time.streamed_ms =
            cost.FirstRead() / workers + actions_ms(WeightsMode::kStreamed, time.streamed_split);
      }
      times_[flow].push_back(time);
    }
  }
}

}  // namespace coracle::plan

#include "plan/node_times.h"

#include <algorithm>

#include "plan/liveness.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;

Split SplitFor(const Graph& graph, const Node& node, WeightsMode weights, uint32_t rows,
               uint32_t workers) {
  if (workers == 1) return Split::kNone;
  const uint32_t groups = weights == WeightsMode::kStreamed ? PanelGroups(node.weights) : 0;
  uint64_t activation_bytes = TensorBytes(graph, node.output);
  for (graph::TensorIndex input : node.inputs) activation_bytes += TensorBytes(graph, input);
  if (groups >= 2 * workers && node.weights.TotalBytes() > activation_bytes) return Split::kPanels;
  if (rows >= workers) return Split::kRows;
  return groups >= workers ? Split::kPanels : Split::kNone;
}

/// All actions of the node, `rows` rows each.
double ActionsMs(const Graph& graph, const Node& node, uint32_t rows, const Manner& manner,
                 const MachineRates& rates) {
  const uint32_t all = OutputRows(graph, node);
  const uint32_t full = all / rows;
  double ms = full * ActionMs(graph, node, rows, manner, rates);
  if (all % rows != 0) ms += ActionMs(graph, node, all % rows, manner, rates);
  return ms;
}

}  // namespace

bool MustBeHeld(const Node& node) {
  return !node.weights.chunks.empty() && node.weights.chunks[0].kind == graph::ChunkKind::kConstant;
}

NodeTimes::NodeTimes(const Graph& graph, const std::vector<RowFlow>& flows, uint32_t workers,
                     const MachineRates& rates)
    : workers_(workers) {
  for (uint32_t flow = 0; flow < kFlowCount; ++flow) {
    streamed_sums_[flow].push_back(0);
    held_sums_[flow].push_back(0);
    for (NodeNumber number = 0; number < graph.nodes.size(); ++number) {
      const Node& node = graph.nodes[number];
      const uint32_t all = OutputRows(graph, node);
      const uint32_t rows =
          flow == kWholeFlow ? all : std::min(flows[flow].firing_rows(number), all);
      NodeTime time;
      const WeightsMode held =
          node.weights.chunks.empty() ? WeightsMode::kNone : WeightsMode::kHeld;
      time.held_split = SplitFor(graph, node, held, rows, workers);
      time.open_ms = OpenMs(node.weights, rates) / workers;
      time.held_ms =
          time.open_ms + ActionsMs(graph, node, rows, {held, time.held_split, workers}, rates);
      time.streamed_split = time.held_split;
      time.streamed_ms = time.held_ms;
      if (held == WeightsMode::kHeld && !MustBeHeld(node)) {
        time.streamed_split = SplitFor(graph, node, WeightsMode::kStreamed, rows, workers);
        time.streamed_ms = ActionsMs(graph, node, rows,
                                     {WeightsMode::kStreamed, time.streamed_split, workers}, rates);
      }
      streamed_sums_[flow].push_back(streamed_sums_[flow].back() + time.streamed_ms);
      held_sums_[flow].push_back(held_sums_[flow].back() + time.held_ms);
      times_[flow].push_back(time);
    }
  }
}

}  // namespace coracle::plan

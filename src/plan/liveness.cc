#include "plan/liveness.h"

namespace coracle::plan {

std::vector<LiveRange> LiveRangesOf(const graph::Graph& graph) {
  std::vector<LiveRange> ranges(graph.tensors.size());
  for (const graph::Port& port : graph.inputs) ranges[Position(port.tensor)].is_input = true;
  for (StepNumber step = 0; step < graph.nodes.size(); ++step) {
    const graph::Node& node = graph.nodes[step];
    for (graph::TensorIndex input : node.inputs) ranges[Position(input)].last = step;
    ranges[Position(node.output)] = {step, step, false};
  }
  for (const graph::Port& port : graph.outputs) {
    ranges[Position(port.tensor)].last = static_cast<StepNumber>(graph.nodes.size());
  }
  return ranges;
}

uint32_t AllRows(const graph::Graph& graph, graph::TensorIndex tensor) {
  return static_cast<uint32_t>(graph::RowsOf(graph.shape(tensor)).AllRows());
}

}  // namespace coracle::plan

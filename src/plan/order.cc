#include "plan/order.h"

#include <algorithm>
#include <set>

#include "graph/tensor_bytes.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

/// Of more ready nodes than this, only the first are weighed.
constexpr size_t kReadyMax = 64;

/// Distinct operands of a node.
std::vector<TensorIndex> OperandsOf(const Node& node) {
  std::vector<TensorIndex> operands = node.inputs;
  std::sort(operands.begin(), operands.end());
  operands.erase(std::unique(operands.begin(), operands.end()), operands.end());
  return operands;
}

/// How many nodes (and the caller, of outputs) still need each tensor.
std::vector<uint32_t> CountReaders(const Graph& graph) {
  std::vector<uint32_t> readers(graph.tensors.size());
  for (const Node& node : graph.nodes) {
    for (const TensorIndex operand : OperandsOf(node)) ++readers[Position(operand)];
  }
  for (const graph::Port& port : graph.outputs) ++readers[Position(port.tensor)];
  return readers;
}

}  // namespace

std::vector<NodeIndex> LeanOrder(const Graph& graph) {
  const auto count = static_cast<uint32_t>(graph.nodes.size());
  std::vector<uint32_t> readers = CountReaders(graph);
  std::vector<uint32_t> missing(count);
  std::vector<std::vector<uint32_t>> waiting(graph.tensors.size());
  std::vector<bool> made(graph.tensors.size());
  for (const graph::Port& port : graph.inputs) made[Position(port.tensor)] = true;
  std::set<uint32_t> ready;
  for (uint32_t number = 0; number < count; ++number) {
    for (const TensorIndex operand : OperandsOf(graph.nodes[number])) {
      if (made[Position(operand)]) continue;
      ++missing[number];
      waiting[Position(operand)].push_back(number);
    }
    if (missing[number] == 0) ready.insert(number);
  }
  // Bytes that are live more once the node is done than before it.
  const auto growth = [&](uint32_t number) {
    const Node& node = graph.nodes[number];
    auto bytes = static_cast<int64_t>(TensorBytes(graph, node.output));
    for (const TensorIndex operand : OperandsOf(node)) {
      if (readers[Position(operand)] == 1) {
        bytes -= static_cast<int64_t>(TensorBytes(graph, operand));
      }
    }
    return bytes;
  };
  std::vector<NodeIndex> order;
  while (!ready.empty()) {
    auto best = ready.begin();
    int64_t least = growth(*best);
    size_t weighed = 1;
    for (auto it = std::next(best); it != ready.end() && weighed < kReadyMax; ++it, ++weighed) {
      const int64_t bytes = growth(*it);
      if (bytes >= least) continue;
      least = bytes;
      best = it;
    }
    const uint32_t number = *best;
    ready.erase(best);
    order.push_back(static_cast<NodeIndex>(number));
    for (const TensorIndex operand : OperandsOf(graph.nodes[number])) --readers[Position(operand)];
    for (const uint32_t next : waiting[Position(graph.nodes[number].output)]) {
      if (--missing[next] == 0) ready.insert(next);
    }
  }
  return order;
}

uint64_t PeakBytes(const Graph& graph, const std::vector<NodeIndex>& order) {
  std::vector<uint32_t> readers = CountReaders(graph);
  uint64_t live = 0;
  for (const graph::Port& port : graph.inputs) live += TensorBytes(graph, port.tensor);
  uint64_t peak = live;
  for (const NodeIndex index : order) {
    const Node& node = graph.node(index);
    live += TensorBytes(graph, node.output);
    peak = std::max(peak, live);
    for (const TensorIndex operand : OperandsOf(node)) {
      if (--readers[Position(operand)] == 0) live -= TensorBytes(graph, operand);
    }
  }
  return peak;
}

Graph Reordered(const Graph& graph, const std::vector<NodeIndex>& order) {
  Graph reordered = graph;
  reordered.nodes.clear();
  for (const NodeIndex index : order) reordered.nodes.push_back(graph.node(index));
  return reordered;
}

}  // namespace coracle::plan

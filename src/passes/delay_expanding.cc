#include "passes/delay_expanding.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace coracle::passes {
namespace {

constexpr size_t kNoNode = SIZE_MAX;

uint64_t BytesOf(const graph::Tensor& tensor) {
  return tensor.shape.Elements() * DTypeBytes(tensor.dtype);
}

bool Expands(const graph::Graph& graph, const graph::Node& node) {
  uint64_t operands = 0;
  for (const graph::TensorIndex input : node.inputs) operands += BytesOf(graph.tensor(input));
  return BytesOf(graph.tensor(node.output)) > operands;
}

/// Producer of each tensor, by position in graph.nodes.
std::vector<size_t> Producers(const graph::Graph& graph) {
  std::vector<size_t> producers(graph.tensors.size(), kNoNode);
  for (size_t i = 0; i < graph.nodes.size(); ++i) producers[Position(graph.nodes[i].output)] = i;
  return producers;
}

/// Appends `node` to `order`, its waiting producers before it. Iterative: chains may be long.
void Emit(const graph::Graph& graph, const std::vector<size_t>& producers, size_t node,
          std::vector<bool>& done, std::vector<size_t>& order) {
  std::vector<size_t> stack = {node};
  while (!stack.empty()) {
    const size_t top = stack.back();
    bool ready = true;
    for (const graph::TensorIndex input : graph.nodes[top].inputs) {
      const size_t producer = producers[Position(input)];
      if (producer == kNoNode || done[producer]) continue;
      stack.push_back(producer);
      ready = false;
    }
    if (!ready) continue;
    stack.pop_back();
    if (done[top]) continue;
    done[top] = true;
    order.push_back(top);
  }
}

}  // namespace

void DelayExpandingNodes(graph::Graph& graph) {
  const std::vector<size_t> producers = Producers(graph);
  std::vector<bool> done(graph.nodes.size(), false);
  std::vector<size_t> order;
  order.reserve(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!done[i] && !Expands(graph, graph.nodes[i])) Emit(graph, producers, i, done, order);
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!done[i]) Emit(graph, producers, i, done, order);
  }
  std::vector<graph::Node> nodes;
  nodes.reserve(order.size());
  for (const size_t i : order) nodes.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(nodes);
}

}  // namespace coracle::passes

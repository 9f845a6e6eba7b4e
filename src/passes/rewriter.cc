#include "passes/rewriter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace coracle::passes {

using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

Rewriter::Rewriter(graph::Graph& graph)
    : graph_(graph),
      live_(graph.nodes.size(), true),
      producer_(graph.tensors.size(), NoIndex<NodeIndex>()),
      uses_(graph.tensors.size()),
      output_uses_(graph.tensors.size(), 0) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto index = static_cast<NodeIndex>(i);
    producer_[Position(graph.nodes[i].output)] = index;
    for (TensorIndex input : graph.nodes[i].inputs) AddUse(input, index);
  }
  for (const graph::Port& port : graph.outputs) ++output_uses_[Position(port.tensor)];
  for (size_t i = graph.nodes.size(); i-- > 0;) RemoveIfUnused(graph.nodes[i].output);
}

void Rewriter::ForEach(const std::function<void(NodeIndex)>& visit) {
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (live_[i]) visit(static_cast<NodeIndex>(i));
  }
}

const Node* Rewriter::Producer(TensorIndex tensor) const {
  const NodeIndex index = producer_[Position(tensor)];
  if (index == NoIndex<NodeIndex>() || !Live(index)) return nullptr;
  return &graph_.node(index);
}

bool Rewriter::HasSoleUse(TensorIndex tensor) const {
  return uses_[Position(tensor)].size() == 1 && !IsGraphOutput(tensor);
}

bool Rewriter::IsGraphOutput(TensorIndex tensor) const {
  return output_uses_[Position(tensor)] > 0;
}

const std::vector<NodeIndex>& Rewriter::Uses(TensorIndex tensor) const {
  return uses_[Position(tensor)];
}

const Node* Rewriter::SoleProducer(TensorIndex tensor) const {
  return HasSoleUse(tensor) ? Producer(tensor) : nullptr;
}

void Rewriter::SetNode(NodeIndex index, Node node) {
  CORACLE_CHECK(Live(index) && node.output == graph_.node(index).output);
  ++rewrites_;
  for (TensorIndex input : node.inputs) AddUse(input, index);
  const Node old = std::exchange(graph_.node(index), std::move(node));
  for (TensorIndex input : old.inputs) RemoveUse(input, index);
  for (TensorIndex input : old.inputs) RemoveIfUnused(input);
}

void Rewriter::SetDType(TensorIndex tensor, DType dtype) { graph_.tensor(tensor).dtype = dtype; }

void Rewriter::ReplaceUses(TensorIndex from, TensorIndex to) {
  CORACLE_CHECK(from != to && graph_.shape(from) == graph_.shape(to));
  CORACLE_CHECK(graph_.tensor(from).dtype == graph_.tensor(to).dtype);
  ++rewrites_;
  for (NodeIndex user : std::exchange(uses_[Position(from)], {})) {
    std::vector<TensorIndex>& inputs = graph_.node(user).inputs;
    *std::find(inputs.begin(), inputs.end(), from) = to;
    AddUse(to, user);
  }
  for (graph::Port& port : graph_.outputs) {
    if (port.tensor == from) port.tensor = to;
  }
  output_uses_[Position(to)] += std::exchange(output_uses_[Position(from)], 0U);
  RemoveIfUnused(from);
}

size_t Rewriter::Finish() {
  std::vector<bool> mentioned(graph_.tensors.size(), false);
  std::vector<Node> nodes;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (!live_[i]) continue;
    for (TensorIndex input : graph_.nodes[i].inputs) mentioned[Position(input)] = true;
    mentioned[Position(graph_.nodes[i].output)] = true;
    nodes.push_back(std::move(graph_.nodes[i]));
  }
  for (const graph::Port& port : graph_.inputs) mentioned[Position(port.tensor)] = true;
  for (const graph::Port& port : graph_.outputs) mentioned[Position(port.tensor)] = true;

  std::vector<TensorIndex> renamed(graph_.tensors.size());
  std::vector<graph::Tensor> tensors;
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    if (!mentioned[i]) continue;
    renamed[i] = static_cast<TensorIndex>(tensors.size());
    tensors.push_back(std::move(graph_.tensors[i]));
  }
  for (Node& node : nodes) {
    for (TensorIndex& input : node.inputs) input = renamed[Position(input)];
    node.output = renamed[Position(node.output)];
  }
  for (graph::Port& port : graph_.inputs) port.tensor = renamed[Position(port.tensor)];
  for (graph::Port& port : graph_.outputs) port.tensor = renamed[Position(port.tensor)];
  graph_.nodes = std::move(nodes);
  graph_.tensors = std::move(tensors);
  return rewrites_;
}

void Rewriter::AddUse(TensorIndex tensor, NodeIndex node) {
  uses_[Position(tensor)].push_back(node);
}

void Rewriter::RemoveUse(TensorIndex tensor, NodeIndex node) {
  std::vector<NodeIndex>& uses = uses_[Position(tensor)];
  const auto found = std::find(uses.begin(), uses.end(), node);
  CORACLE_CHECK(found != uses.end());
  uses.erase(found);
}

void Rewriter::RemoveIfUnused(TensorIndex tensor) {
  std::vector<TensorIndex> pending = {tensor};
  while (!pending.empty()) {
    const TensorIndex next = pending.back();
    pending.pop_back();
    if (!uses_[Position(next)].empty() || IsGraphOutput(next)) continue;
    const NodeIndex index = producer_[Position(next)];
    if (index == NoIndex<NodeIndex>() || !Live(index)) continue;
    live_[Position(index)] = false;
    for (TensorIndex input : graph_.node(index).inputs) {
      RemoveUse(input, index);
      pending.push_back(input);
    }
  }
}

Node NodeLike(const Node& like, graph::Attributes attrs, std::vector<TensorIndex> inputs,
              graph::Activation activation) {
  Node node;
  node.name = like.name;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.output = like.output;
  node.activation = activation;
  return node;
}

}  // namespace coracle::passes

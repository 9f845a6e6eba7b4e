// max(x, 0) + a min(x, 0) is max(x, a x) where no a is above 1: one node and one map fewer.
#include <algorithm>
#include <limits>
#include <optional>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::BinaryKind;
using graph::Node;
using graph::NodeIndex;
using graph::Operands;
using graph::TensorIndex;

/// The x whose negative part (min(x, 0)) the node computes.
std::optional<TensorIndex> NegativePartOf(const Node& node) {
  if (node.kind() == graph::OpKind::kUnary) {
    const Activation& clip = node.activation;
    const bool lowest = clip.a <= std::numeric_limits<float>::lowest();
    if (clip.kind != ActivationKind::kClip || !lowest || clip.b != 0) return std::nullopt;
    return node.inputs[0];
  }
  const auto* binary = std::get_if<graph::Binary>(&node.attrs);
  if (binary == nullptr || binary->kind != BinaryKind::kMin ||
      binary->operands == Operands::kTensors || binary->constant_shape.Elements() != 1 ||
      node.activation != Activation{} || FloatsOf(*node.source->weight)[0] != 0) {
    return std::nullopt;
  }
  return node.inputs[0];
}

/// True if the node multiplies by factors along one axis, none of them above 1.
bool ScalesByAtMostOne(const graph::Graph& graph, const Node& node) {
  if (node.inputs.size() != 1 || node.activation != Activation{}) return false;
  const Shape& shape = graph.shape(node.inputs[0]);
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
    const auto linear = MatchLinear(graph, node, axis);
    if (!linear) continue;
    return linear->OnlyScales() && std::all_of(linear->scale.begin(), linear->scale.end(),
                                               [](double scale) { return scale <= 1; });
  }
  return false;
}

bool IsReluOf(const Node* node, TensorIndex x) {
  return node != nullptr && node->kind() == graph::OpKind::kUnary &&
         node->activation.kind == ActivationKind::kRelu && node->inputs[0] == x;
}

bool TryFuse(Rewriter& rewriter, NodeIndex index, size_t sloped_side) {
  const graph::Graph& graph = rewriter.graph();
  const Node& add = graph.node(index);
  const TensorIndex sloped = add.inputs[sloped_side];
  const Node* slope = rewriter.SoleProducer(sloped);
  if (slope == nullptr || !ScalesByAtMostOne(graph, *slope)) return false;
  const Node* negative = rewriter.Producer(slope->inputs[0]);
  const auto x = negative == nullptr ? std::nullopt : NegativePartOf(*negative);
  if (!x || !IsReluOf(rewriter.Producer(add.inputs[1 - sloped_side]), *x)) return false;
  if (graph.shape(*x) != graph.shape(add.output)) return false;
  Node sloped_x = *slope;
  sloped_x.inputs[0] = *x;
  rewriter.SetNode(static_cast<NodeIndex>(slope - graph.nodes.data()), std::move(sloped_x));
  const graph::Binary max{BinaryKind::kMax, Operands::kTensors, {}};
  rewriter.SetNode(index, NodeLike(graph.node(index), max, {*x, sloped}, add.activation));
  return true;
}

}  // namespace

size_t FusePRelu(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const auto* binary = std::get_if<graph::Binary>(&graph.node(index).attrs);
    if (binary == nullptr || binary->kind != BinaryKind::kAdd ||
        binary->operands != Operands::kTensors) {
      return;
    }
    if (!TryFuse(rewriter, index, 0)) TryFuse(rewriter, index, 1);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

#include <algorithm>
#include <array>

#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::Node;
using graph::NodeIndex;
using graph::Residual;
using graph::TensorIndex;

bool IsSameShapeAdd(const graph::Graph& graph, const Node& node) {
  if (node.kind() != graph::OpKind::kBinary) return false;
  const auto& binary = std::get<graph::Binary>(node.attrs);
  return binary.kind == graph::BinaryKind::kAdd && binary.operands == graph::Operands::kTensors &&
         graph.shape(node.inputs[0]) == graph.shape(node.inputs[1]);
}

/// The operand that is computed last first: making it wait for the other costs no memory.
std::array<size_t, 2> LatestFirst(const Rewriter& rewriter, const Node& add) {
  const Node* first = rewriter.Producer(add.inputs[0]);
  const Node* second = rewriter.Producer(add.inputs[1]);
  if (second == nullptr || (first != nullptr && first > second)) return {0, 1};
  return {1, 0};
}

/// Whether computing `producer` only when the Add comes holds no more memory than its result did.
bool MayWait(const graph::Graph& graph, const Node& producer) {
  return graph.shape(producer.inputs[0]).Elements() <= graph.shape(producer.output).Elements();
}

bool TryFuse(Rewriter& rewriter, NodeIndex index, size_t operand, bool is_latest) {
  const Node& add = rewriter.graph().node(index);
  const Node* producer = rewriter.SoleProducer(add.inputs[operand]);
  if (producer == nullptr || !graph::AllowsResidual(producer->kind()) ||
      producer->residual != Residual::kNone || producer->weight_type == graph::WeightType::kDot8) {
    return false;
  }
  if (!is_latest && !MayWait(rewriter.graph(), *producer)) return false;
  const bool activated = producer->activation != Activation{};
  if (activated && add.activation != Activation{}) return false;
  Node fused = *producer;
  fused.inputs.push_back(add.inputs[1 - operand]);
  fused.output = add.output;
  fused.residual = activated ? Residual::kAfterActivation : Residual::kBeforeActivation;
  if (!activated) fused.activation = add.activation;
  rewriter.SetNode(index, std::move(fused));
  return true;
}

}  // namespace

size_t FuseResidual(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    if (!IsSameShapeAdd(graph, node)) return;
    const std::array<size_t, 2> order = LatestFirst(rewriter, node);
    if (!TryFuse(rewriter, index, order[0], true)) TryFuse(rewriter, index, order[1], false);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

#include <memory>
#include <optional>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::Node;
using graph::NodeIndex;
using graph::OpKind;

/// The axis along which `producer` has a scale and a bias of its own to fold into, if it has one.
std::optional<uint32_t> FoldableAxis(const graph::Graph& graph, const Node& producer) {
  if (producer.activation != Activation{} || producer.residual != graph::Residual::kNone) {
    return std::nullopt;
  }
  // Where the roundings of integer sums lie is part of their meaning.
  if (producer.weight_type == graph::WeightType::kDot8) return std::nullopt;
  const Shape& out = graph.shape(producer.output);
  switch (producer.kind()) {
    case OpKind::kConv:
    case OpKind::kConvTranspose:
      return ChannelAxis(graph, out);
    case OpKind::kDense:
    case OpKind::kLayerNorm:
      return out.rank() - 1;
    default:
      return std::nullopt;
  }
}

void FoldIntoProducer(Rewriter& rewriter, NodeIndex index, const Node& producer,
                      const Linear& linear, uint32_t axis) {
  const Node& node = rewriter.graph().node(index);
  graph::WeightSource source = CopySource(producer);
  ApplyToSource(linear, rewriter.graph().shape(producer.output)[axis], source);
  Node folded = producer;
  folded.source = std::make_shared<graph::WeightSource>(std::move(source));
  folded.output = node.output;
  folded.activation = node.activation;
  rewriter.SetNode(index, std::move(folded));
}

bool IsLinearKind(const Node& node) {
  return node.kind() == OpKind::kAffine || node.kind() == OpKind::kBinary;
}

/// Two linear nodes in a row become one Affine. Only along the channel axis; two that are uniform
/// only where that axis is the last or the tensor an image, as elsewhere an Affine's layout would
/// cost more than it saves.
void MergeLinear(Rewriter& rewriter, NodeIndex index, const Node& producer) {
  const graph::Graph& graph = rewriter.graph();
  const Shape& shape = graph.shape(producer.output);
  if (shape.rank() == 0 || producer.activation != Activation{}) return;
  const uint32_t axis = ChannelAxis(graph, shape);
  if (axis >= shape.rank()) return;
  const Node& node = graph.node(index);
  const auto inner = MatchLinear(graph, producer, axis);
  const auto outer = MatchLinear(graph, node, axis);
  if (!inner || !outer) return;
  const bool natural = axis + 1 == shape.rank() || shape.rank() == 4;
  if (!natural && inner->Uniform() && outer->Uniform()) return;
  const Linear both = Compose(*inner, *outer, shape[axis]);
  auto source = std::make_shared<graph::WeightSource>();
  ApplyToSource(both, shape[axis], *source);
  Node merged = node;
  merged.attrs = graph::Affine{};
  merged.inputs = {both.input};
  merged.source = std::move(source);
  rewriter.SetNode(index, std::move(merged));
}

}  // namespace

size_t FoldLinearBack(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    if (!IsLinearKind(node)) return;
    const Node* producer = rewriter.SoleProducer(node.inputs[0]);
    if (producer == nullptr) return;
    const auto axis = FoldableAxis(graph, *producer);
    if (axis) {
      const auto linear = MatchLinear(graph, node, *axis);
      if (linear) FoldIntoProducer(rewriter, index, *producer, *linear, *axis);
    } else if (IsLinearKind(*producer)) {
      MergeLinear(rewriter, index, *producer);
    }
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

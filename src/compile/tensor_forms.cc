#include "compile/tensor_forms.h"

#include "base/check.h"
#include "compile/node_kinds.h"
#include "compile/split_residuals.h"

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

/// Gives values of its inputs as they are, whatever their type.
bool OnlyMoves(const Node& node) {
  if (IsMaxPool(node) || IsNearestResize(node)) return true;
  switch (node.kind()) {
    case OpKind::kConcat:
    case OpKind::kSlice:
    case OpKind::kReshape:
    case OpKind::kTranspose:
      return true;
    default:
      return false;
  }
}

}  // namespace

TensorForms::TensorForms(const Graph& graph, const std::vector<TensorSummary>& summaries)
    : takes_(graph.nodes.size(), false),
      uint8_readers_(graph.tensors.size(), 0),
      float_readers_(graph.tensors.size(), 0),
      groups_(graph.tensors.size()),
      ranges_(graph.tensors.size()) {
  CORACLE_CHECK(summaries.size() == graph.tensors.size());
  for (const graph::Port& port : graph.outputs) ++float_readers_[Position(port.tensor)];
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    takes_[i] = Takes(graph, node);
    for (const TensorIndex input : node.inputs) {
      ++(takes_[i] ? uint8_readers_ : float_readers_)[Position(input)];
      if (takes_[i] && OnlyMoves(node)) groups_.Join(input, node.output);
    }
  }
  for (size_t i = 0; i < summaries.size(); ++i) {
    ranges_[groups_.RootOf(static_cast<TensorIndex>(i))].Include(summaries[i].range);
  }
}

graph::Quantization TensorForms::QuantizationOf(TensorIndex tensor) const {
  return QuantizationOver(ranges_[groups_.RootOf(tensor)]);
}

/// Requires: every reader of the node's output was asked before.
bool TensorForms::Takes(const Graph& graph, const Node& node) const {
  if (CanSumIntegers(graph, node)) return node.residual == graph::Residual::kNone;
  if (IsAddition(graph, node)) return AnyTakes(node.output);
  return OnlyMoves(node) && AllTake(node.output);
}

}  // namespace coracle::compile

#include <algorithm>
#include <optional>

#include "graph/verify.h"
#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeIndex;
using graph::OpKind;
using graph::TensorIndex;

bool AllZero(const std::vector<uint32_t>& values) {
  return std::all_of(values.begin(), values.end(), [](uint32_t v) { return v == 0; });
}

bool IsIdentityPerm(const std::vector<uint32_t>& perm) {
  for (uint32_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != i) return false;
  }
  return true;
}

bool IsPointWindow(const graph::Window& window) { return window == graph::Window{}; }

bool ReducesOnlyOnes(const graph::Reduce& reduce, const Shape& in) {
  return std::all_of(reduce.axes.begin(), reduce.axes.end(),
                     [&](uint32_t axis) { return in[axis] == 1; });
}

bool IsNeutralLinear(const Graph& graph, const Node& node) {
  const Shape& in = graph.shape(node.inputs[0]);
  if (in.rank() == 0) return false;
  const uint32_t axis = std::min(ChannelAxis(graph, in), in.rank() - 1);
  const auto linear = MatchLinear(graph, node, axis);
  if (!linear || !linear->OnlyScales()) return false;
  return std::all_of(linear->scale.begin(), linear->scale.end(), [](double v) { return v == 1; });
}

/// Whether the node, its activation aside, gives inputs[0] back. Equal shapes are known.
bool ComputesItsInput(const Graph& graph, const Node& node) {
  const Shape& in = graph.shape(node.inputs[0]);
  switch (node.kind()) {
    case OpKind::kReshape:
    case OpKind::kUnary:
      return true;
    case OpKind::kTranspose:
      return IsIdentityPerm(std::get<graph::Transpose>(node.attrs).perm);
    case OpKind::kSlice: {
      // All elements, each axis from its start: the steps are 1 (or the axis has one element).
      const auto& slice = std::get<graph::Slice>(node.attrs);
      return std::all_of(slice.starts.begin(), slice.starts.end(),
                         [](int64_t start) { return start == 0; });
    }
    case OpKind::kResize: {
      const auto& resize = std::get<graph::Resize>(node.attrs);
      return resize.scale_h == 1 && resize.scale_w == 1;
    }
    case OpKind::kPad: {
      const auto& pad = std::get<graph::Pad>(node.attrs);
      return AllZero(pad.before) && AllZero(pad.after);
    }
    case OpKind::kConcat:
      return node.inputs.size() == 1;
    case OpKind::kPool:
      return IsPointWindow(std::get<graph::Pool>(node.attrs).window);
    case OpKind::kReduce:
      return ReducesOnlyOnes(std::get<graph::Reduce>(node.attrs), in);
    case OpKind::kBinary:
    case OpKind::kAffine:
      return IsNeutralLinear(graph, node);
    default:
      return false;
  }
}

/// Removes the node if it does nothing, or leaves only its activation.
bool RemoveIdentity(Rewriter& rewriter, NodeIndex index) {
  const Node& node = rewriter.graph().node(index);
  const Shape& out = rewriter.graph().shape(node.output);
  if (rewriter.graph().shape(node.inputs[0]) != out) return false;
  if (!ComputesItsInput(rewriter.graph(), node)) return false;
  if (node.activation.kind == graph::ActivationKind::kNone) {
    rewriter.ReplaceUses(node.output, node.inputs[0]);
    return true;
  }
  if (node.kind() == OpKind::kUnary) return false;
  rewriter.SetNode(index, NodeLike(node, graph::Unary{}, {node.inputs[0]}, node.activation));
  return true;
}

graph::Transpose Then(const graph::Transpose& first, const graph::Transpose& second) {
  graph::Transpose both;
  for (uint32_t axis : second.perm) both.perm.push_back(first.perm[axis]);
  return both;
}

graph::Slice Then(const graph::Slice& first, const graph::Slice& second) {
  graph::Slice both = first;
  for (size_t axis = 0; axis < both.starts.size(); ++axis) {
    both.starts[axis] += second.starts[axis] * first.steps[axis];
    both.steps[axis] =
        std::clamp<int64_t>(first.steps[axis] * second.steps[axis],
                            -int64_t{graph::kMaxDimension} + 1, int64_t{graph::kMaxDimension} - 1);
  }
  return both;
}

/// The node's attributes once it reads its producer's input, if the two are one.
std::optional<graph::Attributes> Joined(const Node& producer, const Node& node) {
  if (producer.kind() != node.kind()) return std::nullopt;
  switch (node.kind()) {
    case OpKind::kReshape:
      return node.attrs;
    case OpKind::kTranspose:
      return Then(std::get<graph::Transpose>(producer.attrs),
                  std::get<graph::Transpose>(node.attrs));
    case OpKind::kSlice:
      return Then(std::get<graph::Slice>(producer.attrs), std::get<graph::Slice>(node.attrs));
    default:
      return std::nullopt;
  }
}

void JoinWithProducer(Rewriter& rewriter, NodeIndex index) {
  const Node& node = rewriter.graph().node(index);
  const Node* producer = rewriter.Producer(node.inputs[0]);
  if (producer == nullptr) return;
  const auto attrs = Joined(*producer, node);
  if (!attrs) return;
  Node joined = node;
  joined.attrs = *attrs;
  joined.inputs[0] = producer->inputs[0];
  rewriter.SetNode(index, std::move(joined));
}

void FlattenConcat(Rewriter& rewriter, NodeIndex index) {
  const Node& node = rewriter.graph().node(index);
  if (node.kind() != OpKind::kConcat) return;
  Node flat = node;
  flat.inputs.clear();
  for (TensorIndex input : node.inputs) {
    const Node* inner = rewriter.SoleProducer(input);
    if (inner != nullptr && inner->attrs == node.attrs) {
      flat.inputs.insert(flat.inputs.end(), inner->inputs.begin(), inner->inputs.end());
    } else {
      flat.inputs.push_back(input);
    }
  }
  if (flat.inputs.size() == node.inputs.size()) return;
  if (flat.inputs.size() > graph::kMaxInputsPerNode) return;
  rewriter.SetNode(index, std::move(flat));
}

}  // namespace

size_t Simplify(Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    JoinWithProducer(rewriter, index);
    FlattenConcat(rewriter, index);
    RemoveIdentity(rewriter, index);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

#include <cmath>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

constexpr double kRounding = 1e-5;

const Node* AsClipFromZero(const Node* node) {
  if (node == nullptr || node->kind() != graph::OpKind::kUnary ||
      node->activation.kind != ActivationKind::kClip || node->activation.a != 0) {
    return nullptr;
  }
  return node;
}

/// Rewrites `index` = factor Clip(a x + b, 0, 1 / factor), a x + b being one or two scalar nodes.
void Fuse(Rewriter& rewriter, NodeIndex index, const Node& clip, double factor) {
  if (std::abs(factor * static_cast<double>(clip.activation.b) - 1) > kRounding) return;
  TensorIndex x = clip.inputs[0];
  double scale = factor;
  double shift = 0;
  int steps = 0;
  for (; steps < 2; ++steps) {
    const Node* node = rewriter.SoleProducer(x);
    const auto linear = node ? MatchScalarLinear(rewriter.graph(), *node) : std::nullopt;
    if (!linear) break;
    shift += scale * linear->shift[0];
    scale *= linear->scale[0];
    x = linear->input;
  }
  // A bare Clip(x, 0, 1) stays what it is.
  if (steps == 0) return;
  const Node& root = rewriter.graph().node(index);
  const graph::Activation hard_sigmoid{ActivationKind::kHardSigmoid, static_cast<float>(scale),
                                       static_cast<float>(shift)};
  rewriter.SetNode(index, NodeLike(root, graph::Unary{}, {x}, hard_sigmoid));
}

}  // namespace

size_t FuseHardSigmoid(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    if (const Node* clip = AsClipFromZero(&node)) return Fuse(rewriter, index, *clip, 1);
    const auto linear = MatchScalarLinear(graph, node);
    if (!linear || !linear->OnlyScales()) return;
    const Node* clip = AsClipFromZero(rewriter.SoleProducer(linear->input));
    if (clip != nullptr) Fuse(rewriter, index, *clip, linear->scale[0]);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

#include <cmath>
#include <memory>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::Binary;
using graph::BinaryKind;
using graph::Node;
using graph::NodeIndex;
using graph::Operands;
using graph::TensorIndex;

bool IsPlainBinary(const Node* node, BinaryKind kind) {
  if (node == nullptr || node->kind() != graph::OpKind::kBinary) return false;
  const auto& binary = std::get<Binary>(node->attrs);
  return binary.kind == kind && binary.operands == Operands::kTensors &&
         node->activation == Activation{};
}

/// `node` is the mean of `x` over its last axis.
bool IsMeanOf(const graph::Graph& graph, const Node* node, TensorIndex x) {
  if (node == nullptr || node->kind() != graph::OpKind::kReduce || node->inputs[0] != x) {
    return false;
  }
  const auto& reduce = std::get<graph::Reduce>(node->attrs);
  return reduce.kind == graph::ReduceKind::kMean && reduce.axes.size() == 1 &&
         reduce.axes[0] + 1 == graph.shape(x).rank();
}

/// `node` is d squared.
bool IsSquareOf(const Node* node, TensorIndex d) {
  if (IsPlainBinary(node, BinaryKind::kMul)) return node->inputs[0] == d && node->inputs[1] == d;
  if (node == nullptr || node->kind() != graph::OpKind::kBinary || node->inputs[0] != d) {
    return false;
  }
  const auto& binary = std::get<Binary>(node->attrs);
  if (binary.kind != BinaryKind::kPow || binary.operands != Operands::kConstantRight ||
      binary.constant_shape.Elements() != 1 || node->activation != Activation{}) {
    return false;
  }
  return FloatsOf(*node->source->weight)[0] == 2;
}

/// The epsilon, if `tensor` is the variance of d (whose mean is 0) plus one.
std::optional<float> VarianceEpsilon(const Rewriter& rewriter, TensorIndex tensor, TensorIndex d) {
  const Node* node = rewriter.Producer(tensor);
  double epsilon = 0;
  if (node == nullptr) return std::nullopt;
  if (const auto linear = MatchScalarLinear(rewriter.graph(), *node)) {
    if (linear->scale[0] != 1 || linear->shift[0] < 0) return std::nullopt;
    epsilon = linear->shift[0];
    node = rewriter.Producer(linear->input);
  }
  if (node == nullptr || node->kind() != graph::OpKind::kReduce) return std::nullopt;
  const TensorIndex square = node->inputs[0];
  if (!IsMeanOf(rewriter.graph(), node, square)) return std::nullopt;
  if (!IsSquareOf(rewriter.Producer(square), d)) return std::nullopt;
  return static_cast<float>(epsilon);
}

/// The tensor whose square root (or, of `inverse`, its reciprocal) `tensor` is.
std::optional<TensorIndex> UnaryOf(const Rewriter& rewriter, TensorIndex tensor,
                                   ActivationKind kind) {
  const Node* node = rewriter.Producer(tensor);
  if (node == nullptr || node->kind() != graph::OpKind::kUnary || node->activation.kind != kind) {
    return std::nullopt;
  }
  return node->inputs[0];
}

struct Normalised {
  TensorIndex x{};
  float epsilon = 0;
};

/// d = x - mean(x), divided by sqrt(mean(d d) + epsilon).
std::optional<Normalised> MatchParts(const Rewriter& rewriter, TensorIndex d, TensorIndex root) {
  const Node* sub = rewriter.Producer(d);
  if (!IsPlainBinary(sub, BinaryKind::kSub)) return std::nullopt;
  const TensorIndex x = sub->inputs[0];
  if (!IsMeanOf(rewriter.graph(), rewriter.Producer(sub->inputs[1]), x)) return std::nullopt;
  const auto variance = UnaryOf(rewriter, root, ActivationKind::kSqrt);
  if (!variance) return std::nullopt;
  const auto epsilon = VarianceEpsilon(rewriter, *variance, d);
  if (!epsilon) return std::nullopt;
  return Normalised{x, *epsilon};
}

std::optional<Normalised> Match(const Rewriter& rewriter, const Node& node) {
  if (IsPlainBinary(&node, BinaryKind::kDiv)) {
    return MatchParts(rewriter, node.inputs[0], node.inputs[1]);
  }
  if (!IsPlainBinary(&node, BinaryKind::kMul)) return std::nullopt;
  for (int side = 0; side < 2; ++side) {
    const TensorIndex inverse = node.inputs[static_cast<size_t>(1 - side)];
    const auto root = UnaryOf(rewriter, inverse, ActivationKind::kReciprocal);
    if (!root) continue;
    if (auto match = MatchParts(rewriter, node.inputs[static_cast<size_t>(side)], *root)) {
      return match;
    }
  }
  return std::nullopt;
}

}  // namespace

size_t FuseLayerNorm(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    const auto match = Match(rewriter, node);
    if (!match || graph.shape(match->x) != graph.shape(node.output)) return;
    Node norm = NodeLike(node, graph::LayerNorm{match->epsilon}, {match->x});
    norm.source = std::make_shared<graph::WeightSource>();
    rewriter.SetNode(index, std::move(norm));
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

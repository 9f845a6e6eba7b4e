#include <cmath>
#include <optional>
#include <vector>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::Binary;
using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

constexpr double kRounding = 1e-5;
/// Deepest nest of Mul that a spelling has.
constexpr int kMaxDepth = 3;

bool Near(double value, double expected) {
  return std::abs(value - expected) <= kRounding * std::abs(expected);
}

/// factor * the product of all `tensors`.
struct Product {
  double factor = 1;
  std::vector<TensorIndex> tensors;
};

bool IsTensorMul(const Node& node) {
  if (node.kind() != graph::OpKind::kBinary || node.activation != Activation{}) return false;
  const auto& binary = std::get<Binary>(node.attrs);
  return binary.kind == graph::BinaryKind::kMul && binary.operands == graph::Operands::kTensors;
}

void Collect(const Rewriter& rewriter, const Node& node, int depth, Product& product);

void CollectOperand(const Rewriter& rewriter, TensorIndex tensor, int depth, Product& product) {
  const Node* node = depth < kMaxDepth ? rewriter.SoleProducer(tensor) : nullptr;
  const auto linear = node ? MatchScalarLinear(rewriter.graph(), *node) : std::nullopt;
  const bool scales = linear && linear->OnlyScales();
  if (node != nullptr && (scales || IsTensorMul(*node))) {
    Collect(rewriter, *node, depth, product);
  } else {
    product.tensors.push_back(tensor);
  }
}

void Collect(const Rewriter& rewriter, const Node& node, int depth, Product& product) {
  if (IsTensorMul(node)) {
    CollectOperand(rewriter, node.inputs[0], depth + 1, product);
    CollectOperand(rewriter, node.inputs[1], depth + 1, product);
    return;
  }
  const auto linear = MatchScalarLinear(rewriter.graph(), node);
  if (!linear || !linear->OnlyScales()) return;
  product.factor *= linear->scale[0];
  CollectOperand(rewriter, linear->input, depth + 1, product);
}

/// tensor = kind(s x + t), and nothing else reads tensor.
struct UnaryOfLinear {
  Activation activation;
  ScaleShift of_x;
};
std::optional<UnaryOfLinear> MatchUnary(const Rewriter& rewriter, TensorIndex tensor,
                                        TensorIndex x) {
  const Node* node = rewriter.SoleProducer(tensor);
  if (node == nullptr || node->kind() != graph::OpKind::kUnary) return std::nullopt;
  const auto of_x = MatchLinearOf(rewriter, node->inputs[0], x);
  if (!of_x) return std::nullopt;
  return UnaryOfLinear{node->activation, *of_x};
}

bool IsTanhOfSoftplus(const Rewriter& rewriter, TensorIndex tensor, TensorIndex x) {
  const Node* tanh = rewriter.SoleProducer(tensor);
  if (tanh == nullptr || tanh->kind() != graph::OpKind::kUnary ||
      tanh->activation.kind != ActivationKind::kTanh) {
    return false;
  }
  const auto inner = MatchUnary(rewriter, tanh->inputs[0], x);
  return inner && inner->activation.kind == ActivationKind::kSoftplus && inner->of_x.scale == 1 &&
         inner->of_x.shift == 0;
}

/// factor * gate = (1 + erf(x / sqrt 2)) / 2.
bool IsGeluGate(const Rewriter& rewriter, TensorIndex gate, TensorIndex x, double factor) {
  double scale = factor;
  double shift = 0;
  const Node* node = rewriter.SoleProducer(gate);
  for (int steps = 0; node != nullptr && steps < 2; ++steps) {
    const auto linear = MatchScalarLinear(rewriter.graph(), *node);
    if (!linear) break;
    shift += scale * linear->shift[0];
    scale *= linear->scale[0];
    gate = linear->input;
    node = rewriter.SoleProducer(gate);
  }
  if (!Near(scale, 0.5) || !Near(shift, 0.5)) return false;
  const auto erf = MatchUnary(rewriter, gate, x);
  return erf && erf->activation.kind == ActivationKind::kErf && erf->of_x.shift == 0 &&
         Near(erf->of_x.scale, std::sqrt(0.5));
}

/// factor * x * gate as an activation of x.
std::optional<Activation> MatchGate(const Rewriter& rewriter, TensorIndex x, TensorIndex gate,
                                    double factor) {
  if (IsGeluGate(rewriter, gate, x, factor)) return Activation{ActivationKind::kGelu};
  if (Near(factor, 1) && IsTanhOfSoftplus(rewriter, gate, x)) {
    return Activation{ActivationKind::kMish};
  }
  const auto unary = MatchUnary(rewriter, gate, x);
  if (!unary) return std::nullopt;
  const Activation& inner = unary->activation;
  const double scale = unary->of_x.scale;
  const double shift = unary->of_x.shift;
  if (inner.kind == ActivationKind::kSigmoid && Near(factor, 1) && shift == 0) {
    return Activation{ActivationKind::kSwish, static_cast<float>(scale)};
  }
  if (inner.kind == ActivationKind::kHardSigmoid && Near(factor, 1)) {
    const double a = static_cast<double>(inner.a);
    return Activation{ActivationKind::kHardSwish, static_cast<float>(a * scale),
                      static_cast<float>(a * shift + static_cast<double>(inner.b))};
  }
  const double top = static_cast<double>(inner.b);
  if (inner.kind == ActivationKind::kClip && inner.a == 0 && Near(factor * top, 1)) {
    return Activation{ActivationKind::kHardSwish, static_cast<float>(factor * scale),
                      static_cast<float>(factor * shift)};
  }
  return std::nullopt;
}

}  // namespace

size_t FuseGated(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    Product product;
    Collect(rewriter, node, 0, product);
    if (product.tensors.size() != 2) return;
    for (size_t side = 0; side < 2; ++side) {
      const TensorIndex x = product.tensors[side];
      if (graph.shape(x) != graph.shape(node.output)) continue;
      const auto activation = MatchGate(rewriter, x, product.tensors[1 - side], product.factor);
      if (!activation) continue;
      rewriter.SetNode(index, NodeLike(node, graph::Unary{}, {x}, *activation));
      return;
    }
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

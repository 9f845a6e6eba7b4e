#include <cmath>
#include <optional>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::MatMul;
using graph::Node;
using graph::NodeIndex;

std::optional<Linear> PureScale(const graph::Graph& graph, const Node* node) {
  if (node == nullptr) return std::nullopt;
  auto linear = MatchScalarLinear(graph, *node);
  if (!linear || !linear->OnlyScales()) return std::nullopt;
  return linear;
}

std::optional<MatMul> Scaled(const MatMul& matmul, double factor) {
  MatMul scaled = matmul;
  scaled.scale = static_cast<float>(static_cast<double>(matmul.scale) * factor);
  if (!std::isfinite(scaled.scale)) return std::nullopt;
  return scaled;
}

void FoldOperands(Rewriter& rewriter, NodeIndex index) {
  for (size_t operand = 0; operand < 2; ++operand) {
    const Node& node = rewriter.graph().node(index);
    const auto linear = PureScale(rewriter.graph(), rewriter.SoleProducer(node.inputs[operand]));
    if (!linear) continue;
    const auto attrs = Scaled(std::get<MatMul>(node.attrs), linear->scale[0]);
    if (!attrs) continue;
    Node scaled = node;
    scaled.attrs = *attrs;
    scaled.inputs[operand] = linear->input;
    rewriter.SetNode(index, std::move(scaled));
  }
}

void FoldResult(Rewriter& rewriter, NodeIndex index) {
  const Node& node = rewriter.graph().node(index);
  const auto linear = PureScale(rewriter.graph(), &node);
  if (!linear) return;
  const Node* producer = rewriter.SoleProducer(linear->input);
  if (producer == nullptr || producer->kind() != graph::OpKind::kMatMul) return;
  const auto attrs = Scaled(std::get<MatMul>(producer->attrs), linear->scale[0]);
  if (!attrs) return;
  Node scaled = *producer;
  scaled.attrs = *attrs;
  scaled.output = node.output;
  rewriter.SetNode(index, std::move(scaled));
}

}  // namespace

size_t FoldMatMulScale(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    if (graph.node(index).kind() == graph::OpKind::kMatMul) {
      FoldOperands(rewriter, index);
    } else {
      FoldResult(rewriter, index);
    }
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

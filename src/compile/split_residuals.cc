#include "compile/split_residuals.h"

#include <utility>

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::Node;

/// (x - zero) w is at most 255 * 127, and the sums of x w and of w may be made apart: int32 holds
/// this many products of 255 * 128.
constexpr uint64_t kSumProductsMax = 65'536;

uint64_t SumProducts(const Graph& graph, const Node& node) {
  const uint64_t inputs = graph.shape(node.inputs[0]).Back(0);
  const auto* const conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr) return inputs;
  return uint64_t{conv->window.kernel_h} * conv->window.kernel_w * (inputs / conv->groups);
}

/// Appends the layer without its residual, and the addition.
void AppendSplit(const Node& fused, Graph& graph) {
  Node layer = fused;
  const graph::TensorIndex residual = layer.inputs.back();
  layer.inputs.pop_back();
  layer.residual = graph::Residual::kNone;
  if (fused.residual == graph::Residual::kBeforeActivation) layer.activation = {};
  const Shape shape = graph.shape(fused.output);
  layer.output = graph.AddTensor(graph.tensor(fused.output).name + " before the sum", shape);
  Node sum;
  sum.name = fused.name + " sum";
  sum.attrs = graph::Binary{};
  sum.inputs = {layer.output, residual};
  sum.output = fused.output;
  if (fused.residual == graph::Residual::kBeforeActivation) sum.activation = fused.activation;
  graph.AddNode(std::move(layer));
  graph.AddNode(std::move(sum));
}

}  // namespace

bool CanSumIntegers(const Graph& graph, const Node& node) {
  const auto* const conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr && node.kind() != graph::OpKind::kDense) return false;
  if (conv != nullptr && conv->algorithm != graph::ConvAlgorithm::kDirect) return false;
  return node.weight_type == graph::WeightType::kFloat32 && node.source != nullptr &&
         SumProducts(graph, node) <= kSumProductsMax;
}

Graph SplitResiduals(const Graph& graph) {
  Graph split = graph;
  split.nodes.clear();
  for (const Node& node : graph.nodes) {
    if (node.residual != graph::Residual::kNone && CanSumIntegers(graph, node)) {
      AppendSplit(node, split);
    } else {
      split.AddNode(node);
    }
  }
  return split;
}

}  // namespace coracle::compile

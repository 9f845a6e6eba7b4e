// x + x g is x (1 + g) where the gate g has one value a channel (squeeze and excitation with a
// residual): the large maps are read once, in place, and 1 + g costs nothing. Differs by the
// rounding of one addition.
#include <memory>
#include <optional>

#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::BinaryKind;
using graph::Node;
using graph::NodeIndex;
using graph::Operands;
using graph::TensorIndex;

const graph::Binary* PlainBinary(const Node& node, BinaryKind kind) {
  const auto* binary = std::get_if<graph::Binary>(&node.attrs);
  const bool matches =
      binary != nullptr && binary->kind == kind && binary->operands == Operands::kTensors;
  return matches ? binary : nullptr;
}

/// One value a channel of a 4-D map.
bool IsGate(const Shape& gate, const Shape& map) {
  return gate.rank() == 4 && map.rank() == 4 && gate[0] == map[0] && gate[1] == map[1] &&
         gate[2] == 1 && gate[3] == 1 && gate != map;
}

/// The gate by which `mul` multiplies `x`.
std::optional<TensorIndex> GateOf(const graph::Graph& graph, const Node& mul, TensorIndex x) {
  for (size_t side = 0; side < 2; ++side) {
    if (mul.inputs[side] == x && IsGate(graph.shape(mul.inputs[1 - side]), graph.shape(x))) {
      return mul.inputs[1 - side];
    }
  }
  return std::nullopt;
}

bool TryFuse(graph::Graph& graph, Rewriter& rewriter, NodeIndex index, size_t product_side) {
  const Node& add = graph.node(index);
  const TensorIndex product = add.inputs[product_side];
  const TensorIndex x = add.inputs[1 - product_side];
  const Node* mul = rewriter.SoleProducer(product);
  if (mul == nullptr || PlainBinary(*mul, BinaryKind::kMul) == nullptr ||
      mul->activation != Activation{})
    return false;
  const std::optional<TensorIndex> gate = GateOf(graph, *mul, x);
  if (!gate) return false;
  auto source = std::make_shared<graph::WeightSource>();
  source->scale.assign(graph.shape(*gate)[1], 1.0F);
  source->bias = source->scale;
  Node gate_plus_one = NodeLike(*mul, graph::Affine{}, {*gate});
  gate_plus_one.source = std::move(source);
  graph.tensor(product).shape = graph.shape(*gate);
  rewriter.SetNode(static_cast<NodeIndex>(mul - graph.nodes.data()), std::move(gate_plus_one));
  const graph::Binary scaled{BinaryKind::kMul, Operands::kTensors, {}};
  rewriter.SetNode(index, NodeLike(graph.node(index), scaled, {x, product}, add.activation));
  return true;
}

}  // namespace

size_t FuseGatedResidual(graph::Graph& graph) {
  if (graph.stage != graph::Stage::kLogical) return 0;
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    if (PlainBinary(graph.node(index), BinaryKind::kAdd) == nullptr) return;
    if (!TryFuse(graph, rewriter, index, 0)) TryFuse(graph, rewriter, index, 1);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

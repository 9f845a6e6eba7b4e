#include "passes/passes.h"
#include "passes/quantized.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

bool IsAdd(const Node* node) {
  if (node == nullptr) return false;
  const auto* binary = std::get_if<graph::Binary>(&node->attrs);
  return binary != nullptr && binary->kind == graph::BinaryKind::kAdd &&
         binary->operands == graph::Operands::kTensors;
}

void Fuse(Rewriter& rewriter, NodeIndex index) {
  const graph::Graph& graph = rewriter.graph();
  const Node& quantize = graph.node(index);
  if (!IsConstantQuantize(quantize)) return;
  // A sum that others read as well stays: it would be made twice.
  const Node* add = rewriter.SoleProducer(quantize.inputs[0]);
  if (add == nullptr) return;
  graph::Activation activation = add->activation;
  if (add->kind() == graph::OpKind::kUnary) {
    add = rewriter.SoleProducer(add->inputs[0]);
    if (add == nullptr || add->activation != graph::Activation{}) return;
  }
  if (!IsAdd(add) || graph.shape(add->inputs[0]) != graph.shape(add->inputs[1])) return;
  const Node* a = ConstantDequantize(rewriter.Producer(add->inputs[0]));
  const Node* b = ConstantDequantize(rewriter.Producer(add->inputs[1]));
  if (a == nullptr || b == nullptr) return;
  const graph::QuantizedAdd attrs{std::get<graph::Dequantize>(a->attrs).in,
                                  std::get<graph::Dequantize>(b->attrs).in,
                                  std::get<graph::Quantize>(quantize.attrs).out};
  rewriter.SetNode(index, NodeLike(quantize, attrs, {a->inputs[0], b->inputs[0]}, activation));
}

}  // namespace

size_t FuseQuantizedAdd(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) { Fuse(rewriter, index); });
  return rewriter.Finish();
}

}  // namespace coracle::passes

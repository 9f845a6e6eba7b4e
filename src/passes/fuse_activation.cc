#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {

using graph::Node;
using graph::NodeIndex;

size_t FuseActivation(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    if (node.kind() != graph::OpKind::kUnary) return;
    const Node* producer = rewriter.SoleProducer(node.inputs[0]);
    if (producer == nullptr || !graph::AllowsActivation(producer->kind()) ||
        producer->activation != graph::Activation{} ||
        producer->residual == graph::Residual::kAfterActivation) {
      return;
    }
    Node fused = *producer;
    fused.output = node.output;
    fused.activation = node.activation;
    rewriter.SetNode(index, std::move(fused));
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

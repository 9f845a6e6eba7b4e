// Dequantize, operators that only pass elements through, Quantize with the same parameters: they
// pass the integers through just as well. (scale (q - zero)) / scale rounds to q - zero: two
// roundings of a number below 256 move it by less than a half.
#include <cmath>

#include "graph/infer.h"
#include "passes/passes.h"
#include "passes/quantized.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::NodeIndex;
using graph::Quantization;
using graph::TensorIndex;

/// Operators one after the other, and all of them together.
constexpr int kChainMax = 64;
constexpr size_t kNodesMax = 1024;

/// A Pad's value as one of the integers, if it is one.
bool PadInIntegers(Node& node, const Quantization& q) {
  auto* pad = std::get_if<graph::Pad>(&node.attrs);
  if (pad == nullptr || pad->mode != graph::PadMode::kConstant) return true;
  const float steps = std::nearbyint(pad->value / q.scale) + static_cast<float>(q.zero);
  if (!(steps >= 0 && steps <= 255)) return false;
  if (q.scale * (steps - static_cast<float>(q.zero)) != pad->value) return false;
  pad->value = steps;
  return true;
}

class Chain {
 public:
  Chain(Rewriter& rewriter, const Quantization& parameters)
      : rewriter_(rewriter), parameters_(parameters) {}

  /// Finds the nodes between `tensor` and Dequantizes with the chain's parameters.
  bool Find(TensorIndex tensor, int depth = kChainMax) {
    const Node* node = rewriter_.Producer(tensor);
    if (IsSource(node)) return true;
    if (node == nullptr || depth == 0 || nodes_.size() >= kNodesMax) return false;
    if (!graph::PassesThrough(*node) || !rewriter_.HasSoleUse(tensor)) return false;
    Node probe = *node;
    if (!PadInIntegers(probe, parameters_)) return false;
    for (const TensorIndex input : node->inputs) {
      if (!Find(input, depth - 1)) return false;
    }
    nodes_.push_back(static_cast<NodeIndex>(node - rewriter_.graph().nodes.data()));
    return true;
  }

  /// Makes the nodes that were found work on integers. They come after their operands.
  void Rewrite() {
    for (const NodeIndex index : nodes_) {
      Node node = rewriter_.graph().node(index);
      PadInIntegers(node, parameters_);
      for (TensorIndex& input : node.inputs) {
        const Node* producer = rewriter_.Producer(input);
        if (IsSource(producer)) input = producer->inputs[0];
      }
      rewriter_.SetDType(node.output, DType::kUint8);
      rewriter_.SetNode(index, std::move(node));
    }
  }

 private:
  bool IsSource(const Node* node) const {
    const Node* dequantize = ConstantDequantize(node);
    return dequantize != nullptr &&
           std::get<graph::Dequantize>(dequantize->attrs).in == parameters_;
  }

  Rewriter& rewriter_;
  Quantization parameters_;
  std::vector<NodeIndex> nodes_;
};

void Keep(Rewriter& rewriter, NodeIndex index) {
  const Node& quantize = rewriter.graph().node(index);
  if (!IsConstantQuantize(quantize)) return;
  const TensorIndex output = quantize.output;
  TensorIndex moved = quantize.inputs[0];
  Chain chain(rewriter, std::get<graph::Quantize>(quantize.attrs).out);
  if (!chain.Find(moved)) return;
  if (const Node* source = ConstantDequantize(rewriter.Producer(moved))) {
    moved = source->inputs[0];
  }
  // Before the nodes change: a Quantize cannot read integers.
  chain.Rewrite();
  rewriter.ReplaceUses(output, moved);
}

}  // namespace

size_t KeepQuantized(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) { Keep(rewriter, index); });
  return rewriter.Finish();
}

}  // namespace coracle::passes

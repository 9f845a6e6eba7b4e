#include "passes/quantized.h"

namespace coracle::passes {

using graph::Node;
using graph::QuantizationSource;

bool IsConstantQuantize(const Node& node) {
  const auto* quantize = std::get_if<graph::Quantize>(&node.attrs);
  return quantize != nullptr && quantize->source == QuantizationSource::kConstant;
}

const Node* ConstantDequantize(const Node* node) {
  if (node == nullptr) return nullptr;
  const auto* dequantize = std::get_if<graph::Dequantize>(&node->attrs);
  const bool constant =
      dequantize != nullptr && dequantize->source == QuantizationSource::kConstant;
  return constant ? node : nullptr;
}

bool IsFloatOfSums(const graph::Graph& graph, const Node& node) {
  return node.weight_type == graph::WeightType::kDot8 &&
         graph.tensor(node.output).dtype == DType::kFloat32;
}

uint32_t ChannelsOfSums(const Node& node) {
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  return conv != nullptr ? conv->out_channels : std::get<graph::Dense>(node.attrs).out_features;
}

}  // namespace coracle::passes

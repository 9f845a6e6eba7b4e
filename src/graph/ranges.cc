#include "graph/ranges.h"

namespace coracle::graph {

bool TakesRange(const Node& node) {
  if (const auto* quantize = std::get_if<Quantize>(&node.attrs)) {
    return quantize->source == QuantizationSource::kTensor;
  }
  if (const auto* dequantize = std::get_if<Dequantize>(&node.attrs)) {
    return dequantize->source == QuantizationSource::kTensor;
  }
  return node.weight_type == WeightType::kDot8 &&
         node.integer.in_source == QuantizationSource::kTensor;
}

}  // namespace coracle::graph

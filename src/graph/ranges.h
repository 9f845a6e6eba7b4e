// Ranges as operands: scale and zero point of a quantised tensor that are found while predicting.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::graph {

/// True if the node takes a QuantizationRange's output: it then is its last operand. Of Quantize,
/// Dequantize, and of Conv and Dense that compute on integers.
bool TakesRange(const Node& node);
/// True if `operand` is that one.
inline bool IsRange(const Node& node, uint32_t operand) {
  return operand + 1 == node.inputs.size() && TakesRange(node);
}

}  // namespace coracle::graph

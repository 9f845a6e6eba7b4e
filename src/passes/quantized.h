// What the passes over quantised nodes look for. Internal to passes/.
#pragma once

#include "graph/graph.h"

namespace coracle::passes {

/// A Quantize with constant parameters.
bool IsConstantQuantize(const graph::Node& node);
/// `node` if it is a Dequantize with constant parameters, else null. Null gives null.
const graph::Node* ConstantDequantize(const graph::Node* node);
/// A Conv or Dense on integers that gives float32.
bool IsFloatOfSums(const graph::Graph& graph, const graph::Node& node);
/// Output channels of a Conv or Dense.
uint32_t ChannelsOfSums(const graph::Node& node);

}  // namespace coracle::passes

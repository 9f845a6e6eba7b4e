// A quantised network as a float32 one that computes the same, for tests.
#pragma once

#include "graph/graph.h"

namespace coracle::compile {

/// The arithmetic of graph/quantization.h in float32 operators, each code a float: the same values
/// to the rounding of float sums. It shares nothing with the integer kernels, so that either can be
/// held against the other. Requires: what QuantizeActivations() gives.
graph::Graph FloatTwin(const graph::Graph& quantized);

}  // namespace coracle::compile

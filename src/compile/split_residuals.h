// Residuals taken out of the layers that will compute on integers.
#pragma once

#include "graph/graph.h"

namespace coracle::compile {

/// True for a Conv or Dense that can compute on integers (graph::WeightType::kDot8): float32
/// weights, direct sums, and no more of them than an int32 surely holds.
bool CanSumIntegers(const graph::Graph& graph, const graph::Node& node);

/// The graph with each fused residual of such a layer as an addition of its own behind it, so that
/// the value before it is a tensor that calibration sees. The same function, to float rounding.
/// Requires: a verified kRows graph.
graph::Graph SplitResiduals(const graph::Graph& graph);

}  // namespace coracle::compile

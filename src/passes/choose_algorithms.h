// The choice of each convolution's algorithm (graph::ConvAlgorithm), made once, when sealing.
#pragma once

#include <cstddef>

#include "graph/graph.h"

namespace coracle::passes {

/// The algorithm that ChooseAlgorithms() gives the node: direct for all but convolutions.
/// Requires: as there.
graph::ConvAlgorithm FastestAlgorithm(const graph::Graph& graph, const graph::Node& node);

/// Gives each convolution the algorithm that computes the whole layer fastest by the cost model, on
/// the machine that plan::MachineRates{} describes; direct unless another one is clearly faster.
/// Returns how many are not direct: their sums round differently (to about 2e-5 of the largest
/// value for tiles of 4x4). Requires: kRows, before weights are cut into chunks.
size_t ChooseAlgorithms(graph::Graph& graph);

}  // namespace coracle::passes

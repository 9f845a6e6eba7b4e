// Graphs as tables and JSON: what `inspect`, `plan` and `run` print.
#pragma once

#include <string>

#include "cmd/support/console.h"
#include "graph/graph.h"

namespace coracle::cmd {

/// One row a node: operator, shape, activation and weight bytes, multiply-adds.
std::string LayerTable(const graph::Graph& graph);
Json LayersJson(const graph::Graph& graph);

/// A convolution's algorithm by name; null for other nodes.
Json AlgorithmJson(const graph::Node& node);

Json PortsJson(const std::vector<graph::Port>& ports);
uint64_t WeightBytes(const graph::Graph& graph);
/// The same as they lie in the sealed file, where some may be coded.
uint64_t SealedWeightBytes(const graph::Graph& graph);
uint64_t MultiplyAdds(const graph::Graph& graph);

}  // namespace coracle::cmd

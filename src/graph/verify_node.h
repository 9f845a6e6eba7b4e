// The verifier's checks of one node beside its shape. Internal to graph/.
#pragma once

#include <string_view>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::graph {

/// kMalformed: "Conv 'layer1': ...".
Error NodeError(const Node& node, std::string_view what);

/// The activation exists, has usable parameters, and is on a kind that applies one.
Status CheckActivation(const Node& node);

/// A Conv is of those that its algorithm can compute. Requires: the node's shape has been checked.
Status CheckAlgorithm(const Graph& graph, const Node& node);

/// The weight type is one that the node can have, and IntegerSums' parts agree with one another and
/// with the tensors. Requires: the node's shape, types and algorithm have been checked.
Status CheckWeightType(const Graph& graph, const Node& node);

/// Owner side: the weight's shape and type and the lengths of the vectors fit the node. Nothing to
/// check without a source. Requires: the node's shape has been checked. In verify_source.cc.
Status CheckSource(const Graph& graph, const Node& node);

/// Kinds, sizes and order of the node's chunks; whether they cover its weights exactly is
/// kernels/'s to check. Every index must be larger than `last_index`, which advances; it starts at
/// -1.
Status CheckChunks(const Graph& graph, const Node& node, int64_t& last_index);

}  // namespace coracle::graph

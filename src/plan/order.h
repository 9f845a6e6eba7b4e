// Order: other topological orders of a graph's nodes, in which less is live at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace coracle::plan {

/// The nodes in an order that, greedily, keeps few bytes live: of the nodes that could come next,
/// the one after which the least is live; of equal ones, the first in the graph's own order.
std::vector<graph::NodeIndex> LeanOrder(const graph::Graph& graph);

/// Most bytes of tensors that are live at a time if the nodes are computed in this order, one by
/// one.
uint64_t PeakBytes(const graph::Graph& graph, const std::vector<graph::NodeIndex>& order);

/// The graph with its nodes in this order (tensors and their indices as they were).
graph::Graph Reordered(const graph::Graph& graph, const std::vector<graph::NodeIndex>& order);

}  // namespace coracle::plan

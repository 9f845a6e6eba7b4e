// A text dump that a person can read and diff: one line a node.
#pragma once

#include <string>

#include "graph/graph.h"

namespace coracle::graph {

std::string Dump(const Graph& graph);
/// One node's line without the newline: `%7 conv1 = Conv(%3 input) 3x3/2 p1 g1 relu ->
/// 1x112x112x64`.
std::string DumpNode(const Graph& graph, const Node& node);

}  // namespace coracle::graph

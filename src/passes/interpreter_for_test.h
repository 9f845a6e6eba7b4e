// A small interpreter of graphs of either stage, written from op.h's definitions alone: tests
// compare what a graph computes before and after a rewrite. Slow; double sums, but single precision
// where quantised operators are defined so. Shares no code with kernels/ or passes/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace coracle::passes {

using NamedValues = std::map<std::string, std::vector<float>>;

/// Values of all graph outputs by port name, for values of all graph inputs by port name, each in
/// its port's element order. Requires: a verified graph of operators other than Reorg,
/// DetectionHead, ConvTranspose and linear Resize.
NamedValues Interpret(const graph::Graph& graph, const NamedValues& inputs);

}  // namespace coracle::passes

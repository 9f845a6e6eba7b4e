// The order in which an ONNX graph's nodes are imported.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::import {

using NamePredicate = std::function<bool(const std::string&)>;

/// Indices of the nodes that the outputs depend on, each after those that it reads from. Nodes that
/// no output needs are left out. `is_own` says whether this graph defines a name otherwise (input,
/// initialiser); `is_known` whether it or an enclosing graph does.
/// Errors: kMalformed for a name that is defined twice, one that nothing defines, and a cycle.
Result<std::vector<int>> OrderNodes(const onnx::GraphProto& graph, const NamePredicate& is_own,
                                    const NamePredicate& is_known);

}  // namespace coracle::import

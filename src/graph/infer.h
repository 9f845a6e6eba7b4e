// Shape inference: the output shape that a node gives for its input shapes, or why it is
// impossible.
#pragma once

#include <span>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::graph {

/// The output shape of `node` for `inputs` (the residual not included) at `stage`. Reshape, Slice
/// and Resize take their output dimensions from `declared` (and check them against the input).
/// Errors: kInvalidArgument naming the node and what does not fit.
Result<Shape> InferShape(const Node& node, std::span<const Shape> inputs, Stage stage,
                         const Shape& declared);

}  // namespace coracle::graph

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

/// The output's elements are elements of the inputs, whatever they mean: Reshape, Concat, Pool max,
/// Resize nearest and the like.
bool PassesThrough(const Node& node);

/// The output's element type for the inputs' types (`inputs`: all of the node's, the residual
/// included). A kDot8 node gives what it is to give, `declared`: uint8 or float32. Nodes that
/// PassThrough() keep the type; Quantize and QuantizedAdd make it;
/// Dequantize takes it; all others take and give float32.
/// Errors: kInvalidArgument naming the node.
Result<DType> InferDType(const Node& node, std::span<const DType> inputs, DType declared);

}  // namespace coracle::graph

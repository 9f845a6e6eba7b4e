// Convolutions, and products with a constant matrix: what the layers on floats and those on
// integers read and emit alike.
#pragma once

#include <memory>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/onnx/emit.h"
#include "import/onnx/window.h"

namespace coracle::import {

/// What every kind of convolution reads.
struct Convolution {
  graph::TensorIndex x{};
  Shape x_shape;  ///< as the model has it: rank 3 or 4
  ConstantPtr weight;
  uint32_t groups = 1;
  WindowAttributes window;
};
Result<Convolution> ReadConvolution(const OnnxNode& node, const GraphBuilder& builder,
                                    graph::TensorIndex x, ConstantPtr weight);

/// A Conv, padded as auto_pad has it, of `parts` (its attributes, first input and source are set
/// here) and `source` (its weight is set here). The result has the model's rank.
EmitResult EmitConvolution(const OnnxNode& node, GraphBuilder& builder, Convolution conv,
                           std::shared_ptr<graph::WeightSource> source, NodeParts parts);

/// x times the constant `right`, as numpy's matmul, likewise of `parts` and `source`.
EmitResult EmitProduct(const OnnxNode& node, GraphBuilder& builder, graph::TensorIndex x,
                       const ConstantPtr& right, std::shared_ptr<graph::WeightSource> source,
                       NodeParts parts);

/// a times b, as numpy's matmul.
EmitResult MultiplyTensors(const OnnxNode& node, GraphBuilder& builder, graph::TensorIndex a,
                           graph::TensorIndex b);

}  // namespace coracle::import

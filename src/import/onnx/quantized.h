// Scales and zero points as ONNX states them, and as the graph has them: 8-bit activations are
// uint8 inside and 8-bit weights int8, whichever the model has.
// Spec: github.com/onnx/onnx, docs/Operators.md (QuantizeLinear and its kin).
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/onnx/emit.h"

namespace coracle::import {

/// Scales and zero points, one of each for all or one per index of an axis.
struct StatedQuantization {
  std::vector<float> scale;
  std::vector<int32_t> zero;  ///< as many as scales, in the model's own numbers
  DType dtype = DType::kUint8;

  bool Uniform() const { return scale.size() == 1; }
};

/// Inputs `scale` and `scale` + 1, constants; `dtype` and 0 where there is no zero point.
/// Errors: kMalformed where their counts or values make no sense.
Result<StatedQuantization> ReadQuantization(const OnnxNode& node, size_t scale, DType dtype);

/// Entry `i` for activations. Errors: kUnsupported if they are neither uint8 nor int8.
Result<graph::Quantization> ActivationQuantization(const OnnxNode& node,
                                                   const StatedQuantization& stated, size_t i = 0);

/// Zero points of a weight of `dtype` (uint8 or int8), input `input`, as int8 has them: `count` of
/// them, none if all are 0.
Result<std::vector<int32_t>> WeightZeros(const OnnxNode& node, size_t input, DType dtype,
                                         uint32_t count);

/// value = scale (q - zero) of a constant of integers; remembers where it comes from.
/// Requires: `axis` and the counts fit.
ConstantPtr Dequantized(const ConstantPtr& integers, const StatedQuantization& stated,
                        uint32_t axis);

/// The range that both inputs `scale` and `scale` + 1 were taken from (DynamicQuantizeLinear), if
/// they were, with one copy for each image of `x`.
Result<std::optional<graph::TensorIndex>> DynamicRange(const OnnxNode& node, GraphBuilder& builder,
                                                       size_t scale, graph::TensorIndex x);
/// `range` once for each image of `x`.
EmitResult RangeOfImages(const OnnxNode& node, GraphBuilder& builder, graph::TensorIndex range,
                         graph::TensorIndex x);

/// Input `input` as floats, with the parameters that follow it.
EmitResult DequantizeInput(const OnnxNode& node, GraphBuilder& builder, size_t input);
/// `x` quantised with the parameters that start at input `scale`.
EmitResult QuantizeResult(const OnnxNode& node, GraphBuilder& builder, graph::TensorIndex x,
                          size_t scale);

}  // namespace coracle::import

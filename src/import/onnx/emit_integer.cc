// Layers on integers: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger, and those of
// onnxruntime's com.microsoft that are a float operator between a dequantisation and a
// quantisation.
#include <fmt/format.h>

#include <cmath>

#include "graph/verify.h"
#include "import/onnx/emit.h"
#include "import/onnx/products.h"
#include "import/onnx/quantized.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

bool IsSmall(DType dtype) { return dtype == DType::kUint8 || dtype == DType::kInt8; }

/// Input `input`: a constant of 8-bit integers.
Result<ConstantPtr> ReadWeight(const OnnxNode& node, size_t input) {
  TRY_ASSIGN(ConstantPtr weight, node.Constant(input));
  if (!IsSmall(weight->dtype)) return node.Malformed("its weight is neither uint8 nor int8");
  return weight;
}

/// Input `input`: an activation of 8-bit integers.
Result<TensorIndex> ReadActivation(const OnnxNode& node, const GraphBuilder& builder,
                                   size_t input) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(input));
  if (!IsSmall(builder.element(x))) return node.Malformed("its input is neither uint8 nor int8");
  return x;
}

/// What the integers of `x` are, with the parameters from input `scale` on.
Result<graph::Quantization> InputQuantization(const OnnxNode& node, const GraphBuilder& builder,
                                              TensorIndex x, size_t scale) {
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, scale, builder.element(x)));
  if (!stated.Uniform() || stated.dtype != builder.element(x)) {
    return node.Unsupported("its input needs one scale, and a zero point of its own type");
  }
  return ActivationQuantization(node, stated);
}

/// Where the zero point of a ConvInteger or MatMulInteger comes from.
struct InputZero {
  uint8_t zero = 0;
  /// [scale, zero] of DynamicQuantizeLinear, by image of x: the zero point is not known yet.
  std::optional<TensorIndex> range;
};

Result<InputZero> ReadInputZero(const OnnxNode& node, GraphBuilder& builder, TensorIndex x,
                                size_t input) {
  InputZero zero;
  const DType element = builder.element(x);
  zero.zero = PlainIntegers(element).zero;
  if (!node.HasInput(input)) return zero;
  TRY_ASSIGN(const Value value, node.Input(input));
  if (!value.is_constant()) {
    const auto range = builder.RangeOfPart(value.tensor);
    if (!range) {
      return node.Unsupported("its zero point is neither constant nor of a DynamicQuantizeLinear");
    }
    TRY_ASSIGN(zero.range, RangeOfImages(node, builder, *range, x));
    return zero;
  }
  TRY_ASSIGN(const std::vector<int64_t> values, node.Integers(input));
  if (values.size() != 1 || value.constant->dtype != element) {
    return node.Unsupported("its input needs one zero point of its own type");
  }
  zero.zero = static_cast<uint8_t>(values[0] + zero.zero);
  return zero;
}

/// `range` with a scale of 1: the sums as they are, which is what ConvInteger gives.
EmitResult WithUnitScale(const OnnxNode& node, GraphBuilder& builder, TensorIndex range) {
  const std::string name = node.name() + "/unit";
  TRY_ASSIGN(const TensorIndex zero, builder.CombineConstant(name, graph::BinaryKind::kMul, range,
                                                             MakeFloatConstant(name, {2}, {0, 1})));
  return builder.CombineConstant(name, graph::BinaryKind::kAdd, zero,
                                 MakeFloatConstant(name, {2}, {1, 0}));
}

/// A node of integer sums as they are: int32, which is float32 inside.
Result<NodeParts> PlainSums(const OnnxNode& node, GraphBuilder& builder, const InputZero& zero) {
  NodeParts parts;
  parts.weight_type = graph::WeightType::kDot8;
  parts.element = DType::kInt32;
  if (!zero.range) {
    parts.integer.in_zero = zero.zero;
    return parts;
  }
  parts.integer.in_source = graph::QuantizationSource::kTensor;
  TRY_ASSIGN(const TensorIndex unit, WithUnitScale(node, builder, *zero.range));
  parts.inputs.push_back(unit);
  return parts;
}

/// Multipliers (x_scale w_scale[n]) / y_scale, in this order, as onnxruntime has them.
Result<std::vector<float>> Multipliers(const OnnxNode& node, float x_scale, size_t weight_scale,
                                       float y_scale, uint32_t channels) {
  TRY_ASSIGN(std::vector<float> scale, node.Floats(weight_scale));
  if (scale.size() == 1) scale.resize(channels, scale[0]);
  if (scale.size() != channels) {
    return node.Malformed(
        fmt::format("its weight has {} scales for {} channels", scale.size(), channels));
  }
  for (float& value : scale) {
    value = (x_scale * value) / y_scale;
    if (!std::isfinite(value)) return node.Malformed("its scales are out of range");
  }
  return scale;
}

/// What QLinearConv and QLinearMatMul with a constant read alike: x at input 0, the weight at 3,
/// the result's parameters at 6.
struct QuantizedLayer {
  TensorIndex x{};
  ConstantPtr weight;  ///< int8
  std::shared_ptr<graph::WeightSource> source = std::make_shared<graph::WeightSource>();
  NodeParts parts;
};

Result<QuantizedLayer> ReadQuantizedLayer(const OnnxNode& node, GraphBuilder& builder,
                                          uint32_t channel_axis_back) {
  QuantizedLayer layer;
  TRY_ASSIGN(layer.x, ReadActivation(node, builder, 0));
  TRY_ASSIGN(const ConstantPtr weight, ReadWeight(node, 3));
  if (weight->shape.rank() <= channel_axis_back)
    return node.Malformed("its weight has no channels");
  const uint32_t channels = weight->shape.Back(channel_axis_back);
  TRY_ASSIGN(const graph::Quantization in, InputQuantization(node, builder, layer.x, 1));
  TRY_ASSIGN(const StatedQuantization out, ReadQuantization(node, 6, DType::kUint8));
  if (!out.Uniform()) return node.Unsupported("its result needs one scale");
  TRY_ASSIGN(const graph::Quantization result, ActivationQuantization(node, out));
  TRY_ASSIGN(layer.source->scale, Multipliers(node, in.scale, 4, result.scale, channels));
  TRY_ASSIGN(layer.source->weight_zero, WeightZeros(node, 5, weight->dtype, channels));
  layer.weight = builder.AsInt8(weight);
  layer.parts.weight_type = graph::WeightType::kDot8;
  layer.parts.integer.in_zero = in.zero;
  layer.parts.integer.out.zero = result.zero;
  layer.parts.element = out.dtype;
  return layer;
}

Status CheckTerms(const OnnxNode& node, uint64_t terms) {
  if (terms <= graph::kMaxIntegerSumTerms) return {};
  return node.Unsupported(
      fmt::format("sums {} products, at most {}", terms, graph::kMaxIntegerSumTerms));
}

Status CheckConvTerms(const OnnxNode& node, const Shape& weight) {
  return CheckTerms(node, weight[0] == 0 ? 0 : weight.Elements() / weight[0]);
}

/// The integers themselves as floats.
EmitResult AsFloats(const OnnxNode& node, GraphBuilder& builder, TensorIndex x, uint8_t zero) {
  return builder.Emit(node.name() + "/integers",
                      {.attrs = graph::Dequantize{.in = {1, zero}}, .inputs = {x}});
}

/// a b of two activations: their integers as floats, where no sum can leave what float32 holds.
EmitResult MultiplyIntegers(const OnnxNode& node, GraphBuilder& builder, TensorIndex a,
                            uint8_t a_zero, TensorIndex b, uint8_t b_zero) {
  constexpr uint64_t kExact = uint64_t{1} << 24;
  const Shape& shape = builder.shape(a);
  const uint64_t terms = shape.rank() == 0 ? 1 : shape.Back(0);
  if (terms * 255 * 255 >= kExact) {
    return node.Unsupported(fmt::format(
        "multiplies two activations of 8-bit integers with {} products in a sum, at most {}", terms,
        (kExact - 1) / (255 * 255)));
  }
  TRY_ASSIGN(const TensorIndex left, AsFloats(node, builder, a, a_zero));
  TRY_ASSIGN(const TensorIndex right, AsFloats(node, builder, b, b_zero));
  return MultiplyTensors(node, builder, left, right);
}

EmitResult MultiplyQuantized(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex a, ReadActivation(node, builder, 0));
  TRY_ASSIGN(const TensorIndex b, ReadActivation(node, builder, 3));
  TRY_ASSIGN(const graph::Quantization a_in, InputQuantization(node, builder, a, 1));
  TRY_ASSIGN(const graph::Quantization b_in, InputQuantization(node, builder, b, 4));
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, 6, DType::kUint8));
  if (!stated.Uniform()) return node.Unsupported("its result needs one scale");
  TRY_ASSIGN(const graph::Quantization out, ActivationQuantization(node, stated));
  TRY_ASSIGN(const TensorIndex sums, MultiplyIntegers(node, builder, a, a_in.zero, b, b_in.zero));
  TRY_ASSIGN(const TensorIndex scaled,
             builder.CombineScalar(node.name() + "/scaled", graph::BinaryKind::kMul, sums,
                                   (a_in.scale * b_in.scale) / out.scale));
  return builder.Emit(node.name(), {.attrs = graph::Quantize{.out = {1, out.zero}},
                                    .inputs = {scaled},
                                    .element = stated.dtype});
}

}  // namespace

EmitResult EmitQLinearConv(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const ConstantPtr stored, ReadWeight(node, 3));
  if (stored->shape.rank() < 3) return node.Malformed("its weight is no window");
  TRY_ASSIGN(QuantizedLayer layer, ReadQuantizedLayer(node, builder, stored->shape.rank() - 1));
  TRY(CheckConvTerms(node, layer.weight->shape));
  if (node.HasInput(8)) {
    TRY_ASSIGN(const ConstantPtr stated, node.Constant(8));
    if (stated->dtype != DType::kInt32) return node.Malformed("its bias is not int32");
    TRY_ASSIGN(const std::vector<int64_t> bias, node.Integers(8));
    if (bias.size() != layer.weight->shape[0]) return node.Malformed("its bias does not fit");
    for (const int64_t value : bias) {
      layer.source->integer_bias.push_back(static_cast<int32_t>(value));
    }
  }
  TRY_ASSIGN(Convolution conv, ReadConvolution(node, builder, layer.x, layer.weight));
  return EmitConvolution(node, builder, std::move(conv), std::move(layer.source),
                         std::move(layer.parts));
}

EmitResult EmitConvInteger(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, ReadActivation(node, builder, 0));
  TRY_ASSIGN(const ConstantPtr weight, ReadWeight(node, 1));
  if (weight->shape.rank() < 3) return node.Malformed("its weight is no window");
  TRY(CheckConvTerms(node, weight->shape));
  TRY_ASSIGN(const InputZero zero, ReadInputZero(node, builder, x, 2));
  TRY_ASSIGN(NodeParts parts, PlainSums(node, builder, zero));
  auto source = std::make_shared<graph::WeightSource>();
  TRY_ASSIGN(source->weight_zero, WeightZeros(node, 3, weight->dtype, weight->shape[0]));
  TRY_ASSIGN(Convolution conv, ReadConvolution(node, builder, x, builder.AsInt8(weight)));
  return EmitConvolution(node, builder, std::move(conv), std::move(source), std::move(parts));
}

EmitResult EmitQLinearMatMul(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const Value b, node.Input(3));
  if (!b.is_constant()) return MultiplyQuantized(node, builder);
  TRY_ASSIGN(QuantizedLayer layer, ReadQuantizedLayer(node, builder, 0));
  if (layer.weight->shape.rank() < 2) return node.Unsupported("a constant vector is not supported");
  TRY(CheckTerms(node, layer.weight->shape.Back(1)));
  return EmitProduct(node, builder, layer.x, layer.weight, std::move(layer.source),
                     std::move(layer.parts));
}

EmitResult EmitMatMulInteger(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex a, ReadActivation(node, builder, 0));
  TRY_ASSIGN(const InputZero zero, ReadInputZero(node, builder, a, 2));
  TRY_ASSIGN(const Value b, node.Input(1));
  if (!b.is_constant()) {
    TRY_ASSIGN(const TensorIndex right, ReadActivation(node, builder, 1));
    TRY_ASSIGN(const InputZero right_zero, ReadInputZero(node, builder, right, 3));
    if (zero.range || right_zero.range) {
      return node.Unsupported("multiplies two activations with zero points found while predicting");
    }
    TRY_ASSIGN(const TensorIndex sums,
               MultiplyIntegers(node, builder, a, zero.zero, right, right_zero.zero));
    return builder.Emit(node.name() + "/sums",
                        {.attrs = graph::Unary{}, .inputs = {sums}, .element = DType::kInt32});
  }
  TRY_ASSIGN(const ConstantPtr weight, ReadWeight(node, 1));
  if (weight->shape.rank() < 2) return node.Unsupported("a constant vector is not supported");
  TRY(CheckTerms(node, weight->shape.Back(1)));
  TRY_ASSIGN(NodeParts parts, PlainSums(node, builder, zero));
  auto source = std::make_shared<graph::WeightSource>();
  TRY_ASSIGN(source->weight_zero, WeightZeros(node, 3, weight->dtype, weight->shape.Back(0)));
  return EmitProduct(node, builder, a, builder.AsInt8(weight), std::move(source), std::move(parts));
}

EmitResult EmitQuantizedBinary(const OnnxNode& node, GraphBuilder& builder) {
  const bool adds = node.proto().op_type() == "QLinearAdd";
  TRY_ASSIGN(const TensorIndex a, DequantizeInput(node, builder, 0));
  TRY_ASSIGN(const TensorIndex b, DequantizeInput(node, builder, 3));
  TRY_ASSIGN(const TensorIndex result,
             builder.Combine(node.name() + "/result",
                             adds ? graph::BinaryKind::kAdd : graph::BinaryKind::kMul, a, b));
  return QuantizeResult(node, builder, result, 6);
}

EmitResult EmitQuantizedGlobalAveragePool(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const int64_t channels_last, node.Int("channels_last", 0));
  if (channels_last != 0) return node.Unsupported("channels_last is not supported");
  TRY_ASSIGN(const TensorIndex x, DequantizeInput(node, builder, 0));
  graph::Reduce mean{graph::ReduceKind::kMean, {}};
  for (uint32_t axis = 2; axis < builder.shape(x).rank(); ++axis) mean.axes.push_back(axis);
  TRY_ASSIGN(const TensorIndex result,
             builder.Emit(node.name() + "/result", {.attrs = mean, .inputs = {x}}));
  return QuantizeResult(node, builder, result, 3);
}

}  // namespace coracle::import

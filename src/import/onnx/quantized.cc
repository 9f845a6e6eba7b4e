#include "import/onnx/quantized.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/onnx/array.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

/// What int8 differs by from uint8 in activations, and uint8 from int8 in weights.
constexpr int32_t kShift = 128;

Result<std::vector<int32_t>> ReadZeros(const OnnxNode& node, size_t input) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.Integers(input));
  std::vector<int32_t> zeros;
  for (const int64_t zero : listed) {
    if (zero < INT32_MIN || zero > INT32_MAX) return node.Malformed("its zero point is too large");
    zeros.push_back(static_cast<int32_t>(zero));
  }
  return zeros;
}

}  // namespace

Result<StatedQuantization> ReadQuantization(const OnnxNode& node, size_t scale, DType dtype) {
  StatedQuantization stated;
  stated.dtype = dtype;
  TRY_ASSIGN(stated.scale, node.Floats(scale));
  const auto usable = [](float value) { return std::isfinite(value) && value > 0; };
  if (stated.scale.empty() || !std::all_of(stated.scale.begin(), stated.scale.end(), usable)) {
    return node.Malformed("its scale must be positive and finite");
  }
  stated.zero.assign(stated.scale.size(), 0);
  if (!node.HasInput(scale + 1)) return stated;
  TRY_ASSIGN(const ConstantPtr zero, node.Constant(scale + 1));
  stated.dtype = zero->dtype;
  TRY_ASSIGN(stated.zero, ReadZeros(node, scale + 1));
  if (stated.zero.size() != stated.scale.size()) {
    return node.Malformed(
        fmt::format("has {} scales and {} zero points", stated.scale.size(), stated.zero.size()));
  }
  return stated;
}

Result<graph::Quantization> ActivationQuantization(const OnnxNode& node,
                                                   const StatedQuantization& stated, size_t i) {
  if (stated.dtype != DType::kUint8 && stated.dtype != DType::kInt8) {
    return node.Unsupported(
        fmt::format("activations as {} are not supported", DTypeName(stated.dtype)));
  }
  // The zero point's own type bounds it.
  const int32_t zero = stated.zero[i] + (stated.dtype == DType::kInt8 ? kShift : 0);
  return graph::Quantization{stated.scale[i], static_cast<uint8_t>(zero)};
}

Result<std::vector<int32_t>> WeightZeros(const OnnxNode& node, size_t input, DType dtype,
                                         uint32_t count) {
  std::vector<int32_t> zeros = {0};
  if (node.HasInput(input)) {
    TRY_ASSIGN(const ConstantPtr zero, node.Constant(input));
    if (zero->dtype != dtype) return node.Malformed("its weight and zero point differ in type");
    TRY_ASSIGN(zeros, ReadZeros(node, input));
  }
  if (zeros.size() == 1) zeros.resize(count, zeros[0]);
  if (zeros.size() != count) {
    return node.Malformed(
        fmt::format("its weight has {} zero points for {} channels", zeros.size(), count));
  }
  for (int32_t& zero : zeros) zero -= dtype == DType::kUint8 ? kShift : 0;
  const bool none = std::all_of(zeros.begin(), zeros.end(), [](int32_t z) { return z == 0; });
  return none ? std::vector<int32_t>{} : zeros;
}

ConstantPtr Dequantized(const ConstantPtr& integers, const StatedQuantization& stated,
                        uint32_t axis) {
  const std::vector<int64_t> values = LoadIntegers(*integers);
  const uint64_t stride = stated.Uniform() ? 1 : StridesOf(integers->shape)[axis];
  std::vector<float> floats(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t at = i / stride % stated.scale.size();
    floats[i] = static_cast<float>(values[i] - stated.zero[at]) * stated.scale[at];
  }
  const ConstantPtr plain = MakeFloatConstant(integers->name, integers->shape, std::move(floats));
  graph::Constant constant = *plain;
  constant.from = std::make_shared<const graph::DequantizedFrom>(
      graph::DequantizedFrom{integers, stated.scale, stated.zero, axis});
  return std::make_shared<const graph::Constant>(std::move(constant));
}

EmitResult RangeOfImages(const OnnxNode& node, GraphBuilder& builder, TensorIndex range,
                         TensorIndex x) {
  const uint32_t images = graph::RowsOf(builder.shape(x)).images;
  if (images == 1) return range;
  return builder.Emit(node.name() + "/ranges",
                      {.attrs = graph::Concat{0}, .inputs = {images, range}});
}

Result<std::optional<TensorIndex>> DynamicRange(const OnnxNode& node, GraphBuilder& builder,
                                                size_t scale, TensorIndex x) {
  const std::optional<TensorIndex> none;
  if (!node.HasInput(scale) || !node.HasInput(scale + 1)) return none;
  TRY_ASSIGN(const Value factor, node.Input(scale));
  TRY_ASSIGN(const Value zero, node.Input(scale + 1));
  if (factor.is_constant() || zero.is_constant()) return none;
  const auto range = builder.RangeOfPart(factor.tensor);
  if (!range || range != builder.RangeOfPart(zero.tensor)) return none;
  TRY_ASSIGN(const TensorIndex ranges, RangeOfImages(node, builder, *range, x));
  return std::optional(ranges);
}

EmitResult DequantizeInput(const OnnxNode& node, GraphBuilder& builder, size_t input) {
  TRY_ASSIGN(const Value x, node.Input(input));
  if (x.is_constant()) return node.Unsupported("a constant operand is not supported");
  const DType element = builder.element(x.tensor);
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, input + 1, element));
  if (!stated.Uniform() || stated.dtype != element) {
    return node.Unsupported("its operands need one scale, and a zero point of their own type");
  }
  TRY_ASSIGN(const graph::Quantization in, ActivationQuantization(node, stated));
  return builder.Emit(node.name() + "/dequantized",
                      {.attrs = graph::Dequantize{.in = in}, .inputs = {x.tensor}});
}

EmitResult QuantizeResult(const OnnxNode& node, GraphBuilder& builder, TensorIndex x,
                          size_t scale) {
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, scale, DType::kUint8));
  if (!stated.Uniform()) return node.Unsupported("its result needs one scale");
  TRY_ASSIGN(const graph::Quantization out, ActivationQuantization(node, stated));
  return builder.Emit(
      node.name(), {.attrs = graph::Quantize{.out = out}, .inputs = {x}, .element = stated.dtype});
}

}  // namespace coracle::import

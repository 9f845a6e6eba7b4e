// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "import/onnx/array.h"
#include "import/onnx/emit.h"
#include "import/onnx/fold.h"
#include "import/onnx/layout.h"
#include "import/onnx/quantized.h"

namespace coracle::import {

using graph::QuantizationSource;
using graph::TensorIndex;

namespace {

// Most indices of an axis with scales of their own: an activation is cut at each.
constexpr size_t kAxisScalesMax = 256;

/// The axis of per-axis parameters. Errors also for blocks, which have several scales an index.
Result<uint32_t> QuantizationAxis(const OnnxNode& node, const StatedQuantization& stated,
                                  const Shape& shape) {
  TRY_ASSIGN(const int64_t block, node.Int("block_size", 0));
  if (block != 0) return node.Unsupported("blocks of an axis are not supported");
  if (stated.Uniform()) return 0U;
  TRY_ASSIGN(const int64_t listed, node.Int("axis", 1));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed, shape.rank(), node.Where()));
  if (shape[axis] != stated.scale.size()) {
    return node.Malformed(fmt::format("has {} scales for axis {} of {}", stated.scale.size(), axis,
                                      shape.ToString()));
  }
  return axis;
}

/// Cuts `x` along `axis`, applies `convert` to each index by itself, and joins the results.
EmitResult ForEachIndex(const OnnxNode& node, GraphBuilder& builder, TensorIndex x, uint32_t axis,
                        const std::function<EmitResult(TensorIndex, size_t)>& convert) {
  const uint32_t count = builder.shape(x)[axis];
  if (count > kAxisScalesMax) {
    return node.Unsupported(
        fmt::format("activations with {} scales, at most {}", count, kAxisScalesMax));
  }
  std::vector<TensorIndex> parts;
  for (uint32_t i = 0; i < count; ++i) {
    SliceRange range = WholeRange(builder.shape(x));
    range.starts[axis] = i;
    range.result.Set(axis, 1);
    TRY_ASSIGN(const TensorIndex part,
               builder.Slice(node.name() + "/index", x, {range.starts, range.steps}, range.result));
    TRY_ASSIGN(const TensorIndex converted, convert(part, i));
    parts.push_back(converted);
  }
  return builder.Emit(node.name(), {.attrs = graph::Concat{axis}, .inputs = std::move(parts)});
}

/// int32 that the network computes: float32 inside, so that only the scale is left to apply.
EmitResult DequantizeSums(const OnnxNode& node, GraphBuilder& builder, TensorIndex x,
                          const StatedQuantization& stated, uint32_t axis) {
  for (const int32_t zero : stated.zero) {
    if (zero != 0) return node.Malformed("int32 has no zero point");
  }
  Shape shape;
  if (!stated.Uniform()) {
    shape.Append(static_cast<uint32_t>(stated.scale.size()));
    for (uint32_t i = axis + 1; i < builder.shape(x).rank(); ++i) shape.Append(1);
  }
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = MakeFloatConstant(node.name() + "/scale", shape, stated.scale);
  const graph::Binary mul{graph::BinaryKind::kMul, graph::Operands::kConstantRight, shape};
  return builder.Emit(
      node.name(),
      {.attrs = mul, .inputs = {x}, .source = std::move(source), .element = DType::kFloat32});
}

/// One of the two numbers of `range`, as a scalar.
EmitResult PartOfRange(const OnnxNode& node, GraphBuilder& builder, TensorIndex range, int64_t at,
                       DType element) {
  const std::string name = node.name() + (at == 0 ? "/scale" : "/zero");
  TRY_ASSIGN(const TensorIndex one,
             builder.Slice(name, range, {{0, 0, at}, {1, 1, 1}}, Shape{1, 1, 1}));
  TRY_ASSIGN(const TensorIndex part, builder.Emit(name, {.attrs = graph::Reshape{},
                                                         .inputs = {one},
                                                         .declared = Shape{},
                                                         .element = element}));
  builder.NotePartOfRange(part, range);
  return part;
}

}  // namespace

EmitResult EmitQuantizeLinear(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  if (builder.element(x) != DType::kFloat32) {
    return node.Unsupported("quantises integers, which is not supported");
  }
  TRY_ASSIGN(const auto range, DynamicRange(node, builder, 1, x));
  if (range) {
    const graph::Quantize by_range{{}, QuantizationSource::kTensor};
    return builder.Emit(node.name(),
                        {.attrs = by_range, .inputs = {x, *range}, .element = DType::kUint8});
  }
  TRY_ASSIGN(const int64_t type, node.Int("output_dtype", 0));
  const bool is_int8 = type == onnx::TensorProto::INT8;
  if (type != 0 && type != onnx::TensorProto::UINT8 && !is_int8) {
    return node.Unsupported("quantises to another type than uint8 and int8");
  }
  TRY_ASSIGN(const StatedQuantization stated,
             ReadQuantization(node, 1, is_int8 ? DType::kInt8 : DType::kUint8));
  TRY_ASSIGN(const uint32_t axis, QuantizationAxis(node, stated, builder.shape(x)));
  const auto quantize = [&](TensorIndex part, size_t i) -> EmitResult {
    TRY_ASSIGN(const graph::Quantization out, ActivationQuantization(node, stated, i));
    return builder.Emit(
        node.name(),
        {.attrs = graph::Quantize{.out = out}, .inputs = {part}, .element = stated.dtype});
  };
  return stated.Uniform() ? quantize(x, 0) : ForEachIndex(node, builder, x, axis, quantize);
}

EmitResult EmitDequantizeLinear(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const DType element = builder.element(x);
  if (element == DType::kFloat32) return node.Malformed("its input is not quantised");
  TRY_ASSIGN(const auto range, DynamicRange(node, builder, 1, x));
  if (range) {
    const graph::Dequantize by_range{{}, QuantizationSource::kTensor};
    return builder.Emit(node.name(), {.attrs = by_range, .inputs = {x, *range}});
  }
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, 1, element));
  if (stated.dtype != element) return node.Malformed("its zero point is not of its input's type");
  TRY_ASSIGN(const uint32_t axis, QuantizationAxis(node, stated, builder.shape(x)));
  if (element == DType::kInt32) return DequantizeSums(node, builder, x, stated, axis);
  const auto dequantize = [&](TensorIndex part, size_t i) -> EmitResult {
    TRY_ASSIGN(const graph::Quantization in, ActivationQuantization(node, stated, i));
    return builder.Emit(node.name(), {.attrs = graph::Dequantize{.in = in}, .inputs = {part}});
  };
  return stated.Uniform() ? dequantize(x, 0) : ForEachIndex(node, builder, x, axis, dequantize);
}

Result<std::vector<TensorIndex>> EmitDynamicQuantizeLinear(const OnnxNode& node,
                                                           GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TensorIndex whole = x;
  if (graph::RowsOf(builder.shape(x)).images > 1) {
    // One range for all images: ONNX knows no batch here.
    const int64_t dims[] = {1, static_cast<int64_t>(builder.shape(x).Elements())};
    TRY_ASSIGN(const Shape row, ToShape(dims, node.Where()));
    TRY_ASSIGN(whole, builder.Reshape(node.name() + "/whole", x, row));
  }
  TRY_ASSIGN(const TensorIndex range,
             builder.Emit(node.name() + "/range",
                          {.attrs = graph::QuantizationRange{}, .inputs = {whole}}));
  TRY_ASSIGN(const TensorIndex ranges, RangeOfImages(node, builder, range, x));
  const graph::Quantize by_range{{}, QuantizationSource::kTensor};
  TRY_ASSIGN(const TensorIndex y,
             builder.Emit(node.name(),
                          {.attrs = by_range, .inputs = {x, ranges}, .element = DType::kUint8}));
  TRY_ASSIGN(const TensorIndex scale, PartOfRange(node, builder, range, 0, DType::kFloat32));
  TRY_ASSIGN(const TensorIndex zero, PartOfRange(node, builder, range, 1, DType::kInt32));
  return std::vector<TensorIndex>{y, scale, zero};
}

FoldResult FoldQuantizeLinear(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.FloatConstant(0));
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, 1, DType::kUint8));
  TRY_ASSIGN(const uint32_t axis, QuantizationAxis(node, stated, x->shape));
  const bool is_int8 = stated.dtype == DType::kInt8;
  if (!is_int8 && stated.dtype != DType::kUint8) {
    return node.Unsupported("quantises to another type than uint8 and int8");
  }
  TRY(budget.Spend(x->shape, stated.dtype));
  const uint64_t stride = stated.Uniform() ? 1 : StridesOf(x->shape)[axis];
  const std::vector<double> values = LoadDoubles(*x);
  std::vector<int64_t> integers(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t at = i / stride % stated.scale.size();
    const float steps = std::nearbyint(static_cast<float>(values[i]) / stated.scale[at]);
    const double sum = double{steps} + stated.zero[at];
    // NaN has no place among integers; it becomes the least one.
    const double least = is_int8 ? -128 : 0;
    integers[i] = static_cast<int64_t>(sum > least ? std::min(sum, least + 255) : least);
  }
  return StoreIntegers(stated.dtype, x->shape, integers);
}

FoldResult FoldDequantizeLinear(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  if (x->dtype != DType::kInt8 && x->dtype != DType::kUint8 && x->dtype != DType::kInt32) {
    return node.Unsupported(fmt::format("constants as {} are not supported", DTypeName(x->dtype)));
  }
  TRY_ASSIGN(const StatedQuantization stated, ReadQuantization(node, 1, x->dtype));
  if (stated.dtype != x->dtype) return node.Malformed("its zero point is not of its input's type");
  TRY_ASSIGN(const uint32_t axis, QuantizationAxis(node, stated, x->shape));
  TRY(budget.Spend(x->shape, DType::kFloat32));
  return Dequantized(x, stated, axis);
}

}  // namespace coracle::import

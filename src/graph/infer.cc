#include "graph/infer.h"

#include <fmt/format.h>

#include <cmath>

#include "graph/infer_rules.h"
#include "graph/ranges.h"
#include "graph/verify.h"

namespace coracle::graph {
namespace {

Result<Shape> InferDense(const Dense& attrs, const ShapeCall& call) {
  Shape out = call.input();
  if (out.rank() == 0) return ShapeError(call, "needs an input of rank 1 or more");
  if (attrs.out_features == 0 || attrs.out_features > kMaxDimension) {
    return ShapeError(call, fmt::format("cannot have {} outputs", attrs.out_features));
  }
  out.Set(out.rank() - 1, attrs.out_features);
  return out;
}

Shape WithoutLastTwo(const Shape& shape) { return Shape(shape.dims().first(shape.rank() - 2)); }

Result<Shape> InferMatMul(const MatMul& attrs, const ShapeCall& call) {
  const Shape& a = call.inputs[0];
  const Shape& b = call.inputs[1];
  if (a.rank() < 2 || b.rank() < 2) return ShapeError(call, "needs inputs of rank 2 or more");
  if (call.stage == Stage::kRows && a.rank() != b.rank()) {
    return ShapeError(call, "its inputs differ in rank");
  }
  if (!std::isfinite(attrs.scale) || attrs.transpose_b > TransposeB::kYes) {
    return ShapeError(call, "its attributes are out of range");
  }
  const bool transposed = attrs.transpose_b == TransposeB::kYes;
  if (a.Back(0) != b.Back(transposed ? 0 : 1)) {
    return ShapeError(call, fmt::format("{} x {}{} do not match", a.ToString(), b.ToString(),
                                        transposed ? " transposed" : ""));
  }
  TRY_ASSIGN(Shape out, BroadcastShapes(call, WithoutLastTwo(a), WithoutLastTwo(b)));
  out.Append(a.Back(1));
  out.Append(b.Back(transposed ? 1 : 0));
  return out;
}

Result<Shape> InferReduce(const Reduce& attrs, const ShapeCall& call) {
  Shape out = call.input();
  if (attrs.kind > ReduceKind::kMin) return ShapeError(call, "its kind does not exist");
  if (attrs.axes.empty()) return ShapeError(call, "needs at least one axis");
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    if (attrs.axes[i] >= out.rank() || (i > 0 && attrs.axes[i] <= attrs.axes[i - 1])) {
      return ShapeError(call, "its axes must exist and ascend");
    }
    out.Set(attrs.axes[i], 1);
  }
  const uint32_t rank = out.rank();
  const bool last = attrs.axes.size() == 1 && attrs.axes[0] == rank - 1;
  const bool spatial = rank >= 3 && attrs.axes.size() == rank - 2 && attrs.axes[0] == 1;
  if (call.stage == Stage::kRows && !last && !spatial) {
    return ShapeError(call, "reduces neither the last axis nor all rows and pixels");
  }
  return out;
}

Result<Shape> InferLayerNorm(const LayerNorm& attrs, const ShapeCall& call) {
  if (call.input().rank() == 0) return ShapeError(call, "needs an input of rank 1 or more");
  if (!std::isfinite(attrs.epsilon) || attrs.epsilon < 0) {
    return ShapeError(call, "its epsilon must not be negative");
  }
  return call.input();
}

Result<Shape> InferAffine(const ShapeCall& call) {
  const uint32_t least = call.stage == Stage::kRows ? 1 : 2;
  if (call.input().rank() < least) return ShapeError(call, "its input has no channel axis");
  return call.input();
}

Result<Shape> InferBinary(const Binary& attrs, const ShapeCall& call) {
  if (attrs.kind > BinaryKind::kMin || attrs.operands > Operands::kConstantLeft) {
    return ShapeError(call, "its kind does not exist");
  }
  if (attrs.operands == Operands::kTensors) {
    if (call.stage == Stage::kRows && call.inputs[0].rank() != call.inputs[1].rank()) {
      return ShapeError(call, "its inputs differ in rank");
    }
    return BroadcastShapes(call, call.inputs[0], call.inputs[1]);
  }
  for (uint32_t dim : attrs.constant_shape.dims()) {
    if (dim == 0 || dim > kMaxDimension) return ShapeError(call, "its constant's shape is wrong");
  }
  if (call.stage == Stage::kRows && attrs.constant_shape.rank() > call.input().rank()) {
    return ShapeError(call, "its constant has a larger rank than its input");
  }
  return BroadcastShapes(call, call.input(), attrs.constant_shape);
}

Result<Shape> InferSoftmax(const Softmax& attrs, const ShapeCall& call) {
  const uint32_t rank = call.input().rank();
  if (attrs.axis >= rank) return ShapeError(call, "its axis does not exist");
  if (call.stage == Stage::kRows && attrs.axis + 1 != rank) {
    return ShapeError(call, "its axis is not the last");
  }
  return call.input();
}

Result<Shape> Dispatch(const ShapeCall& call) {
  const Attributes& attrs = call.node.attrs;
  switch (call.node.kind()) {
    case OpKind::kConv:
      return InferConv(std::get<Conv>(attrs), call);
    case OpKind::kConvTranspose:
      return InferConvTranspose(std::get<ConvTranspose>(attrs), call);
    case OpKind::kDense:
      return InferDense(std::get<Dense>(attrs), call);
    case OpKind::kMatMul:
      return InferMatMul(std::get<MatMul>(attrs), call);
    case OpKind::kPool:
      return InferPool(std::get<Pool>(attrs), call);
    case OpKind::kReduce:
      return InferReduce(std::get<Reduce>(attrs), call);
    case OpKind::kLayerNorm:
      return InferLayerNorm(std::get<LayerNorm>(attrs), call);
    case OpKind::kAffine:
      return InferAffine(call);
    case OpKind::kUnary:
      return call.input();
    case OpKind::kBinary:
      return InferBinary(std::get<Binary>(attrs), call);
    case OpKind::kSoftmax:
      return InferSoftmax(std::get<Softmax>(attrs), call);
    case OpKind::kResize:
      return InferResize(std::get<Resize>(attrs), call);
    case OpKind::kConcat:
      return InferConcat(std::get<Concat>(attrs), call);
    case OpKind::kSlice:
      return InferSlice(std::get<Slice>(attrs), call);
    case OpKind::kTranspose:
      return InferTranspose(std::get<Transpose>(attrs), call);
    case OpKind::kReshape:
      return InferReshape(std::get<Reshape>(attrs), call);
    case OpKind::kPad:
      return InferPad(std::get<Pad>(attrs), call);
    case OpKind::kReorg:
      return InferReorg(std::get<Reorg>(attrs), call);
    case OpKind::kDetectionHead:
      return InferDetectionHead(std::get<DetectionHead>(attrs), call);
    case OpKind::kRecurrence:
      return InferRecurrence(std::get<Recurrence>(attrs), call);
    case OpKind::kAttention:
      return InferAttention(std::get<Attention>(attrs), call);
    case OpKind::kQuantize:
      return InferQuantize(std::get<Quantize>(attrs), call);
    case OpKind::kDequantize:
      return InferDequantize(std::get<Dequantize>(attrs), call);
    case OpKind::kQuantizationRange:
      return InferQuantizationRange(call);
    case OpKind::kQuantizedAdd:
      return InferQuantizedAdd(std::get<QuantizedAdd>(attrs), call);
    case OpKind::kRowExtremes:
      return InferRowExtremes(call);
  }
  return ShapeError(call, "is no operator");
}

Status CheckOperands(const ShapeCall& call) {
  size_t expected = TakesRange(call.node) ? 2 : 1;
  if (call.node.kind() == OpKind::kQuantizedAdd) expected = 2;
  if (call.node.kind() == OpKind::kMatMul) expected = 2;
  if (const Binary* binary = std::get_if<Binary>(&call.node.attrs)) {
    expected = binary->operands == Operands::kTensors ? 2 : 1;
  }
  if (const Recurrence* recurrence = std::get_if<Recurrence>(&call.node.attrs)) {
    const bool given = recurrence->initial == InitialState::kTensors;
    if (given) expected = recurrence->cell == CellKind::kLstm ? 3 : 2;
  }
  if (const Attention* attention = std::get_if<Attention>(&call.node.attrs)) {
    expected = attention->mask == AttentionMask::kTensor ? 4 : 3;
  }
  const bool any_count = call.node.kind() == OpKind::kConcat;
  if (any_count ? call.inputs.empty() : call.inputs.size() != expected) {
    return ShapeError(call, fmt::format("has {} inputs", call.inputs.size()));
  }
  for (const Shape& shape : call.inputs) {
    const auto elements = shape.CheckedElements();
    if (!elements || *elements == 0 || *elements > kMaxTensorElements) {
      return ShapeError(call, "has an input that is empty or too large: " + shape.ToString());
    }
  }
  if (call.node.weight_type == WeightType::kDot8 && expected == 2) TRY(CheckedRange(call));
  return {};
}

}  // namespace

Error ShapeError(const ShapeCall& call, std::string_view what) {
  return Error{Code::kInvalidArgument,
               fmt::format("{} '{}': {}", OpName(call.node.kind()), call.node.name, what)};
}

Result<Shape> InferShape(const Node& node, std::span<const Shape> inputs, Stage stage,
                         const Shape& declared) {
  const ShapeCall call{node, inputs, stage, declared};
  TRY(CheckOperands(call));
  return Dispatch(call);
}

}  // namespace coracle::graph

// Operators that work element by element.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "import/onnx/array.h"
#include "import/onnx/emit.h"
#include "import/onnx/tensor_reader.h"

namespace coracle::import {

using graph::Activation;
using graph::ActivationKind;
using graph::BinaryKind;
using graph::TensorIndex;

namespace {

const std::map<std::string, Activation, std::less<>>& PlainActivations() {
  static const std::map<std::string, Activation, std::less<>> kActivations = {
      {"Relu", {ActivationKind::kRelu}},
      {"Sigmoid", {ActivationKind::kSigmoid}},
      {"HardSwish", {ActivationKind::kHardSwish, 1.0F / 6.0F, 0.5F}},
      {"Tanh", {ActivationKind::kTanh}},
      {"Exp", {ActivationKind::kExp}},
      {"Sqrt", {ActivationKind::kSqrt}},
      {"Erf", {ActivationKind::kErf}},
      {"Abs", {ActivationKind::kAbs}},
      {"Neg", {ActivationKind::kNeg}},
      {"Reciprocal", {ActivationKind::kReciprocal}},
      {"Log", {ActivationKind::kLog}},
      {"Softplus", {ActivationKind::kSoftplus}},
      {"Mish", {ActivationKind::kMish}},
      {"Floor", {ActivationKind::kFloor}},
      {"Ceil", {ActivationKind::kCeil}}};
  return kActivations;
}

Result<Activation> ActivationOf(const OnnxNode& node) {
  const std::string& type = node.proto().op_type();
  Activation activation;
  if (type == "LeakyRelu") {
    activation.kind = ActivationKind::kLeakyRelu;
    TRY_ASSIGN(activation.a, node.Float("alpha", 0.01F));
  } else if (type == "Elu") {
    activation.kind = ActivationKind::kElu;
    TRY_ASSIGN(activation.a, node.Float("alpha", 1));
  } else if (type == "HardSigmoid") {
    activation.kind = ActivationKind::kHardSigmoid;
    TRY_ASSIGN(activation.a, node.Float("alpha", 0.2F));
    TRY_ASSIGN(activation.b, node.Float("beta", 0.5F));
  } else {
    activation = PlainActivations().find(type)->second;
  }
  return activation;
}

BinaryKind BinaryKindOf(const std::string& type) {
  if (type == "Sub") return BinaryKind::kSub;
  if (type == "Mul") return BinaryKind::kMul;
  if (type == "Div") return BinaryKind::kDiv;
  if (type == "Pow") return BinaryKind::kPow;
  if (type == "Max") return BinaryKind::kMax;
  if (type == "Min") return BinaryKind::kMin;
  return BinaryKind::kAdd;
}

bool Commutes(BinaryKind kind) {
  return kind == BinaryKind::kAdd || kind == BinaryKind::kMul || kind == BinaryKind::kMax ||
         kind == BinaryKind::kMin;
}

/// constant op x.
EmitResult CombineConstantLeft(const OnnxNode& node, GraphBuilder& builder, BinaryKind kind,
                               const ConstantPtr& constant, TensorIndex x) {
  if (Commutes(kind)) return builder.CombineConstant(node.name(), kind, x, constant);
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = constant;
  const graph::Binary attrs{kind, graph::Operands::kConstantLeft, constant->shape};
  return builder.Emit(node.name(), {.attrs = attrs, .inputs = {x}, .source = std::move(source)});
}

/// One bound of Clip: attribute (before operator set 11), input, or what is always true.
Result<float> ClipBound(const OnnxNode& node, std::string_view attribute, size_t input,
                        float otherwise) {
  if (!node.HasInput(input)) return node.Float(attribute, otherwise);
  TRY_ASSIGN(const std::vector<float> bound, node.Floats(input));
  if (bound.size() != 1) return node.Malformed("its bounds must be scalars");
  return bound[0];
}

}  // namespace

EmitResult EmitUnary(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const Activation activation, ActivationOf(node));
  return builder.Activate(node.name(), x, activation);
}

EmitResult EmitClip(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  constexpr float kLargest = std::numeric_limits<float>::max();
  TRY_ASSIGN(const float min, ClipBound(node, "min", 1, -kLargest));
  TRY_ASSIGN(const float max, ClipBound(node, "max", 2, kLargest));
  const bool below = min > -kLargest;
  const bool above = max < kLargest;
  if (!below && !above) return x;
  if (min == 0 && !above) return builder.Activate(node.name(), x, {.kind = ActivationKind::kRelu});
  return builder.Activate(node.name(), x, {ActivationKind::kClip, min, max});
}

EmitResult EmitPRelu(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const Value slope, node.Input(1));
  const std::string& name = node.name();
  ConstantPtr constant;
  if (slope.is_constant()) {
    TRY_ASSIGN(constant, node.FloatConstant(1));
    if (constant->shape.Elements() == 1) {
      TRY_ASSIGN(const std::vector<float> values, node.Floats(1));
      return builder.Activate(name, x, {ActivationKind::kLeakyRelu, values[0]});
    }
    if (node.opset() < 7 && constant->shape.rank() == 1) {
      // Per channel, before slopes were broadcast.
      Shape column{constant->shape[0]};
      for (uint32_t i = 2; i < builder.shape(x).rank(); ++i) column.Append(1);
      constant = WithShape(constant, column);
    }
  }
  // max(x, 0) + slope min(x, 0)
  TRY_ASSIGN(const TensorIndex positive,
             builder.Activate(name + "/positive", x, {.kind = ActivationKind::kRelu}));
  TRY_ASSIGN(const TensorIndex negative,
             builder.CombineScalar(name + "/negative", BinaryKind::kMin, x, 0));
  const EmitResult sloped =
      constant != nullptr
          ? builder.CombineConstant(name + "/sloped", BinaryKind::kMul, negative, constant)
          : builder.Combine(name + "/sloped", BinaryKind::kMul, negative, slope.tensor);
  if (!sloped.ok()) return sloped.error();
  return builder.Combine(name, BinaryKind::kAdd, positive, *sloped);
}

EmitResult EmitBinary(const OnnxNode& node, GraphBuilder& builder) {
  const BinaryKind kind = BinaryKindOf(node.proto().op_type());
  if (node.opset() < 7 && node.Has("axis")) {
    return node.Unsupported("broadcasting along an axis (operator sets before 7) is not supported");
  }
  TRY_ASSIGN(const Value a, node.Input(0));
  TRY_ASSIGN(const Value b, node.Input(1));
  if (b.is_constant()) {
    TRY_ASSIGN(const ConstantPtr right, node.FloatConstant(1));
    return builder.CombineConstant(node.name(), kind, a.tensor, right);
  }
  if (a.is_constant()) {
    TRY_ASSIGN(const ConstantPtr left, node.FloatConstant(0));
    return CombineConstantLeft(node, builder, kind, left, b.tensor);
  }
  return builder.Combine(node.name(), kind, a.tensor, b.tensor);
}

EmitResult EmitVariadic(const OnnxNode& node, GraphBuilder& builder) {
  const BinaryKind kind = BinaryKindOf(node.proto().op_type());
  std::optional<TensorIndex> sum;
  for (size_t i = 0; i < node.input_count(); ++i) {
    TRY_ASSIGN(const Value value, node.Input(i));
    if (value.is_constant()) continue;
    if (!sum) {
      sum = value.tensor;
      continue;
    }
    TRY_ASSIGN(sum, builder.Combine(node.name(), kind, *sum, value.tensor));
  }
  if (!sum) return node.Unsupported("has no input that depends on the network's input");
  for (size_t i = 0; i < node.input_count(); ++i) {
    TRY_ASSIGN(const Value value, node.Input(i));
    if (!value.is_constant()) continue;
    TRY_ASSIGN(const ConstantPtr constant, node.FloatConstant(i));
    TRY_ASSIGN(sum, builder.CombineConstant(node.name(), kind, *sum, constant));
  }
  if (node.proto().op_type() != "Mean") return *sum;
  return builder.CombineScalar(node.name() + "/mean", BinaryKind::kDiv, *sum,
                               static_cast<float>(node.input_count()));
}

EmitResult EmitCast(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const int64_t to, node.Int("to", 0));
  if (to < 0 || to > std::numeric_limits<int32_t>::max())
    return node.Malformed("its type is wrong");
  TRY_ASSIGN(const DType dtype, DTypeOfOnnx(static_cast<int32_t>(to), node.Where()));
  if (to == onnx::TensorProto::BFLOAT16) {
    return node.Unsupported("activations as bfloat16 are not supported");
  }
  const DType from = builder.element(x);
  if (dtype == from) return x;
  if (!IsFloating(dtype) && (dtype != DType::kInt32 || from == DType::kFloat32)) {
    return node.Unsupported(fmt::format("activations as {} are not supported", DTypeName(dtype)));
  }
  if (from == DType::kFloat32) return x;  // every activation with a fraction is float32
  const DType element = IsFloating(dtype) ? DType::kFloat32 : DType::kInt32;
  if (from == DType::kInt32) {
    return builder.Emit(node.name(), {.attrs = graph::Unary{}, .inputs = {x}, .element = element});
  }
  return builder.Emit(
      node.name(),
      {.attrs = graph::Dequantize{.in = PlainIntegers(from)}, .inputs = {x}, .element = element});
}

EmitResult EmitIdentity(const OnnxNode& node, GraphBuilder& /*builder*/) { return node.Tensor(0); }

EmitResult EmitDropout(const OnnxNode& node, GraphBuilder& /*builder*/) {
  if (node.HasInput(2)) {
    TRY_ASSIGN(const std::vector<int64_t> training, node.Integers(2));
    if (training.size() != 1 || training[0] != 0) return node.Unsupported("is in training mode");
  }
  return node.Tensor(0);
}

}  // namespace coracle::import

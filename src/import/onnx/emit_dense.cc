// MatMul and Gemm: Dense where the right side is constant, MatMul where the network computes it.
#include <fmt/format.h>

#include <algorithm>

#include "graph/verify.h"
#include "import/onnx/products.h"

namespace coracle::import {

using graph::DenseOrder;
using graph::TensorIndex;

namespace {

std::vector<uint32_t> SwapLastTwo(uint32_t rank) {
  std::vector<uint32_t> perm(rank);
  for (uint32_t i = 0; i < rank; ++i) perm[i] = i;
  std::swap(perm[rank - 1], perm[rank - 2]);
  return perm;
}

/// Dense over the last axis of `x`. `weight` is a matrix.
EmitResult EmitDense(const OnnxNode& node, GraphBuilder& builder, TensorIndex x,
                     const ConstantPtr& weight, DenseOrder order,
                     std::shared_ptr<graph::WeightSource> source, NodeParts parts = {}) {
  const bool inputs_first = order == DenseOrder::kInputsByOutputs;
  const uint32_t inputs = weight->shape[inputs_first ? 0 : 1];
  const uint32_t outputs = weight->shape[inputs_first ? 1 : 0];
  const Shape& shape = builder.shape(x);
  if (shape.rank() == 0 || shape.Back(0) != inputs || outputs == 0) {
    return node.Malformed(
        fmt::format("{} x {} do not match", shape.ToString(), weight->shape.ToString()));
  }
  source->weight = weight;
  source->dense_order = order;
  parts.attrs = graph::Dense{outputs};
  parts.inputs.insert(parts.inputs.begin(), x);
  parts.source = std::move(source);
  return builder.Emit(node.name(), std::move(parts));
}

/// A constant as a matrix: leading dimensions of 1 dropped; a vector as one row or one column.
Result<ConstantPtr> AsMatrix(const OnnxNode& node, const ConstantPtr& constant, bool column) {
  const Shape& shape = constant->shape;
  if (shape.Elements() == 0 || shape.rank() == 0) return node.Malformed("its constant is empty");
  if (shape.rank() == 1) {
    return WithShape(constant, column ? Shape{shape[0], 1} : Shape{1, shape[0]});
  }
  for (uint32_t axis = 0; axis + 2 < shape.rank(); ++axis) {
    if (shape[axis] != 1) {
      return node.Unsupported(
          fmt::format("a batch of constant matrices ({}) is not supported", shape.ToString()));
    }
  }
  return WithShape(constant, {shape.Back(1), shape.Back(0)});
}

Shape WithoutAxis(const Shape& shape, uint32_t dropped) {
  Shape out;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
    if (axis != dropped) out.Append(shape[axis]);
  }
  return out;
}

Shape WithAppended(const Shape& shape, uint32_t dim) {
  Shape out = shape;
  out.Append(dim);
  return out;
}

/// W x for a constant W, as (x' W')': Dense multiplies from the right.
EmitResult MultiplyConstantBy(const OnnxNode& node, GraphBuilder& builder, const ConstantPtr& left,
                              TensorIndex x) {
  const uint32_t rank = builder.shape(x).rank();
  if (rank < 2 || left->shape.rank() > rank) {
    return node.Unsupported("a constant matrix times a vector is not supported");
  }
  const bool vector = left->shape.rank() == 1;
  TRY_ASSIGN(const ConstantPtr matrix, AsMatrix(node, left, false));
  TRY_ASSIGN(const TensorIndex turned,
             builder.Transpose(node.name() + "/turned", x, SwapLastTwo(rank)));
  TRY_ASSIGN(const TensorIndex product,
             EmitDense(node, builder, turned, matrix, DenseOrder::kOutputsByInputs,
                       std::make_shared<graph::WeightSource>()));
  TRY_ASSIGN(const TensorIndex y,
             builder.Transpose(node.name() + "/back", product, SwapLastTwo(rank)));
  if (!vector) return y;
  return builder.Reshape(node.name() + "/shape", y, WithoutAxis(builder.shape(y), rank - 2));
}

}  // namespace

EmitResult EmitProduct(const OnnxNode& node, GraphBuilder& builder, TensorIndex x,
                       const ConstantPtr& right, std::shared_ptr<graph::WeightSource> source,
                       NodeParts parts) {
  const bool vector = right->shape.rank() == 1;
  TRY_ASSIGN(const ConstantPtr matrix, AsMatrix(node, right, true));
  TRY_ASSIGN(const TensorIndex y, EmitDense(node, builder, x, matrix, DenseOrder::kInputsByOutputs,
                                            std::move(source), std::move(parts)));
  const Shape& shape = builder.shape(y);
  Shape wanted = vector ? WithoutAxis(shape, shape.rank() - 1) : shape;
  // Leading 1s of the constant raise the result's rank.
  const uint32_t rank = right->shape.rank() - (builder.shape(x).rank() == 1 ? 1 : 0);
  if (!vector && rank > wanted.rank()) {
    Shape raised;
    for (uint32_t i = wanted.rank(); i < rank; ++i) raised.Append(1);
    for (const uint32_t dim : wanted.dims()) raised.Append(dim);
    wanted = raised;
  }
  return builder.Reshape(node.name() + "/shape", y, wanted);
}

EmitResult MultiplyTensors(const OnnxNode& node, GraphBuilder& builder, TensorIndex a,
                           TensorIndex b) {
  const bool row = builder.shape(a).rank() == 1;
  const bool column = builder.shape(b).rank() == 1;
  if (builder.shape(a).rank() == 0 || builder.shape(b).rank() == 0) {
    return node.Malformed("multiplies a scalar");
  }
  if (row) {
    TRY_ASSIGN(a, builder.Reshape(node.name() + "/row", a, {1, builder.shape(a)[0]}));
  }
  if (column) {
    TRY_ASSIGN(b, builder.Reshape(node.name() + "/column", b, WithAppended(builder.shape(b), 1)));
  }
  TRY_ASSIGN(TensorIndex y,
             builder.Emit(node.name(), {.attrs = graph::MatMul{}, .inputs = {a, b}}));
  Shape wanted = builder.shape(y);
  if (column) wanted = WithoutAxis(wanted, wanted.rank() - 1);
  if (row) wanted = WithoutAxis(wanted, wanted.rank() - (column ? 1 : 2));
  return builder.Reshape(node.name() + "/shape", y, wanted);
}

namespace {

struct GemmAttributes {
  float alpha = 1;
  float beta = 1;
  bool turn_a = false;
  bool turn_b = false;
};

Result<GemmAttributes> ReadGemm(const OnnxNode& node) {
  GemmAttributes gemm;
  TRY_ASSIGN(gemm.alpha, node.Float("alpha", 1));
  TRY_ASSIGN(gemm.beta, node.Float("beta", 1));
  TRY_ASSIGN(const int64_t turn_a, node.Int("transA", 0));
  TRY_ASSIGN(const int64_t turn_b, node.Int("transB", 0));
  gemm.turn_a = turn_a != 0;
  gemm.turn_b = turn_b != 0;
  return gemm;
}

/// Gemm's C where it is a constant that repeats over rows: beta C as `columns` values. Nothing: it
/// is another kind of C.
Result<std::optional<std::vector<float>>> BiasVector(const OnnxNode& node,
                                                     const GemmAttributes& gemm, uint32_t columns) {
  const std::optional<std::vector<float>> none;
  if (!node.HasInput(2)) return std::optional(std::vector<float>{});
  TRY_ASSIGN(const Value c, node.Input(2));
  if (!c.is_constant() || c.shape.rank() > 2) return none;
  if (c.shape.rank() == 2 && c.shape[0] != 1) return none;
  TRY_ASSIGN(std::vector<float> bias, node.Floats(2));
  if (bias.size() == 1) bias.resize(columns, bias[0]);
  if (bias.size() != columns) return node.Malformed("its C does not fit its result");
  for (float& value : bias) value *= gemm.beta;
  return std::optional(std::move(bias));
}

/// y + beta C for any other C.
EmitResult AddGemmC(const OnnxNode& node, GraphBuilder& builder, TensorIndex y, float beta) {
  TRY_ASSIGN(const Value c, node.Input(2));
  if (c.is_constant()) {
    TRY_ASSIGN(std::vector<float> values, node.Floats(2));
    for (float& value : values) value *= beta;
    return builder.CombineConstant(node.name() + "/c", graph::BinaryKind::kAdd, y,
                                   MakeFloatConstant(node.name() + "/c", c.shape, values));
  }
  TensorIndex scaled = c.tensor;
  if (beta != 1) {
    TRY_ASSIGN(scaled, builder.CombineScalar(node.name() + "/beta", graph::BinaryKind::kMul,
                                             c.tensor, beta));
  }
  return builder.Combine(node.name() + "/c", graph::BinaryKind::kAdd, y, scaled);
}

EmitResult GemmOfTensors(const OnnxNode& node, GraphBuilder& builder, const GemmAttributes& gemm,
                         TensorIndex a, TensorIndex b) {
  const graph::MatMul attrs{gemm.turn_b ? graph::TransposeB::kYes : graph::TransposeB::kNo,
                            gemm.alpha};
  TRY_ASSIGN(const TensorIndex y, builder.Emit(node.name(), {.attrs = attrs, .inputs = {a, b}}));
  if (!node.HasInput(2)) return y;
  return AddGemmC(node, builder, y, gemm.beta);
}

}  // namespace

EmitResult EmitMatMul(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const Value a, node.Input(0));
  TRY_ASSIGN(const Value b, node.Input(1));
  if (b.is_constant()) {
    TRY_ASSIGN(const ConstantPtr right, node.FloatConstant(1));
    return EmitProduct(node, builder, a.tensor, right, std::make_shared<graph::WeightSource>(), {});
  }
  if (a.is_constant()) {
    TRY_ASSIGN(const ConstantPtr left, node.FloatConstant(0));
    return MultiplyConstantBy(node, builder, left, b.tensor);
  }
  return MultiplyTensors(node, builder, a.tensor, b.tensor);
}

EmitResult EmitGemm(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const GemmAttributes gemm, ReadGemm(node));
  TRY_ASSIGN(TensorIndex a, node.Tensor(0));
  TRY_ASSIGN(const Value b, node.Input(1));
  if (builder.shape(a).rank() != 2 || b.shape.rank() != 2) {
    return node.Malformed("needs matrices");
  }
  if (gemm.turn_a) {
    TRY_ASSIGN(a, builder.Transpose(node.name() + "/turned", a, {1, 0}));
  }
  if (!b.is_constant()) return GemmOfTensors(node, builder, gemm, a, b.tensor);
  TRY_ASSIGN(const ConstantPtr weight, node.FloatConstant(1));
  const uint32_t columns = weight->shape[gemm.turn_b ? 0 : 1];
  if (columns > graph::kMaxDimension) return node.Unsupported("its result is too wide");
  auto source = std::make_shared<graph::WeightSource>();
  if (gemm.alpha != 1) source->scale.assign(columns, gemm.alpha);
  TRY_ASSIGN(const auto bias, BiasVector(node, gemm, columns));
  if (bias) source->bias = *bias;
  const DenseOrder order =
      gemm.turn_b ? DenseOrder::kOutputsByInputs : DenseOrder::kInputsByOutputs;
  TRY_ASSIGN(const TensorIndex y, EmitDense(node, builder, a, weight, order, std::move(source)));
  if (bias) return y;
  return AddGemmC(node, builder, y, gemm.beta);
}

}  // namespace coracle::import

// Poolings and reductions.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "import/onnx/emit.h"
#include "import/onnx/layout.h"
#include "import/onnx/window.h"

namespace coracle::import {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::TensorIndex;

namespace {

/// Output length as onnxruntime has it (ComputeOutputSize in pool_attributes.h): with ceil mode, a
/// last window that would start behind the image and its leading pad is left out.
Result<uint32_t> PooledLength(const OnnxNode& node, const WindowAxis& axis, bool ceil_mode) {
  const uint64_t padded = uint64_t{axis.in} + axis.pad_begin + axis.pad_end;
  if (padded < axis.Reach()) {
    return node.Malformed(
        fmt::format("its window of {} does not fit {} rows or columns", axis.Reach(), padded));
  }
  const uint64_t span = padded - axis.Reach();
  uint64_t out = span / axis.stride + 1;
  if (ceil_mode) {
    out = (span + axis.stride - 1) / axis.stride + 1;
    if ((out - 1) * axis.stride >= uint64_t{axis.in} + axis.pad_begin) --out;
  }
  return static_cast<uint32_t>(out);
}

Result<graph::Pool> ReadPool(const OnnxNode& node) {
  graph::Pool pool;
  pool.kind =
      node.proto().op_type() == "MaxPool" ? graph::PoolKind::kMax : graph::PoolKind::kAverage;
  TRY_ASSIGN(const int64_t include, node.Int("count_include_pad", 0));
  if (include != 0) pool.counting = graph::PadCounting::kIncludePad;
  TRY_ASSIGN(const int64_t column_major, node.Int("storage_order", 0));
  if (column_major != 0) return node.Unsupported("storage_order 1 is not supported");
  return pool;
}

struct ReduceForm {
  ReduceKind kind = ReduceKind::kSum;
  ActivationKind before = ActivationKind::kNone;
  bool square = false;
  ActivationKind after = ActivationKind::kNone;
};

ReduceForm FormOf(const std::string& type) {
  if (type == "ReduceMean") return {ReduceKind::kMean};
  if (type == "ReduceMax") return {ReduceKind::kMax};
  if (type == "ReduceMin") return {ReduceKind::kMin};
  if (type == "ReduceL1") return {ReduceKind::kSum, ActivationKind::kAbs};
  if (type == "ReduceL2") {
    return {ReduceKind::kSum, ActivationKind::kNone, true, ActivationKind::kSqrt};
  }
  if (type == "ReduceSumSquare") return {ReduceKind::kSum, ActivationKind::kNone, true};
  if (type == "ReduceLogSum") {
    return {ReduceKind::kSum, ActivationKind::kNone, false, ActivationKind::kLog};
  }
  return {ReduceKind::kSum};
}

}  // namespace

EmitResult EmitPool(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape shape = builder.shape(x);
  if (shape.rank() < 3) return node.Malformed("its input has no spatial axis");
  TRY_ASSIGN(graph::Pool pool, ReadPool(node));
  TRY_ASSIGN(const auto kernel, SpatialInts(node, "kernel_shape", shape.rank() - 2, 1, 0));
  TRY_ASSIGN(WindowAttributes window, ReadWindow(node, shape, kernel));
  ResolveSamePads(window);
  pool.window = ToGraphWindow(window);
  TRY_ASSIGN(const int64_t ceil_mode, node.Int("ceil_mode", 0));
  Shape pooled = shape;
  for (uint32_t i = 0; i < window.axes.size(); ++i) {
    TRY_ASSIGN(const uint32_t length, PooledLength(node, window.axes[i], ceil_mode != 0));
    pooled.Set(i + 2, length);
  }
  TRY_ASSIGN(const TensorIndex image, builder.Reshape(node.name() + "/image", x, AsImage(shape)));
  TRY_ASSIGN(
      const TensorIndex out,
      builder.Emit(node.name(), {.attrs = pool, .inputs = {image}, .declared = AsImage(pooled)}));
  return builder.Reshape(node.name() + "/row", out, pooled);
}

EmitResult EmitGlobalPool(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const uint32_t rank = builder.shape(x).rank();
  if (rank < 3) return node.Malformed("its input has no spatial axis");
  graph::Reduce reduce;
  reduce.kind = node.proto().op_type() == "GlobalMaxPool" ? ReduceKind::kMax : ReduceKind::kMean;
  reduce.axes.resize(rank - 2);
  std::iota(reduce.axes.begin(), reduce.axes.end(), 2U);
  return builder.Emit(node.name(), {.attrs = std::move(reduce), .inputs = {x}});
}

EmitResult EmitReduce(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const ReduceAxes axes, ResolveReduce(node, builder.shape(x)));
  const ReduceForm form = FormOf(node.proto().op_type());
  TensorIndex y = x;
  if (form.square) {
    TRY_ASSIGN(y, builder.Combine(node.name() + "/square", BinaryKind::kMul, x, x));
  }
  TRY_ASSIGN(y, builder.Activate(node.name() + "/before", y, {.kind = form.before}));
  if (!axes.axes.empty()) {
    TRY_ASSIGN(y, builder.Emit(node.name(),
                               {.attrs = graph::Reduce{form.kind, axes.axes}, .inputs = {y}}));
  }
  TRY_ASSIGN(y, builder.Activate(node.name() + "/after", y, {.kind = form.after}));
  return builder.Reshape(node.name() + "/dropped", y, axes.dropped);
}

}  // namespace coracle::import

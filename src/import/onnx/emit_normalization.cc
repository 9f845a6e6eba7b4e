// Normalisations and softmax.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "import/onnx/emit.h"

namespace coracle::import {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::TensorIndex;

namespace {

/// Constant input `i` of exactly `count` values.
Result<std::vector<float>> ChannelVector(const OnnxNode& node, size_t i, uint64_t count) {
  TRY_ASSIGN(std::vector<float> values, node.Floats(i));
  if (values.size() != count) {
    return node.Malformed(
        fmt::format("input {} has {} values for {} channels", i, values.size(), count));
  }
  return values;
}

Result<uint32_t> ChannelsOf(const OnnxNode& node, const Shape& shape) {
  if (shape.rank() < 2) return node.Malformed("its input has no channel axis");
  return shape[1];
}

/// Softmax over `axis`. Before operator set 13 it normalised everything from `axis` on at once.
EmitResult SoftmaxOver(const OnnxNode& node, GraphBuilder& builder, TensorIndex x, uint32_t axis) {
  const Shape shape = builder.shape(x);
  uint64_t behind = 1;
  for (uint32_t i = axis + 1; i < shape.rank(); ++i) behind *= shape[i];
  if (node.opset() >= 13 || behind == 1) {
    return builder.Emit(node.name(), {.attrs = graph::Softmax{axis}, .inputs = {x}});
  }
  uint64_t before = 1;
  for (uint32_t i = 0; i < axis; ++i) before *= shape[i];
  const int64_t dims[] = {static_cast<int64_t>(before), static_cast<int64_t>(behind * shape[axis])};
  TRY_ASSIGN(const Shape matrix, ToShape(dims, node.Where()));
  TRY_ASSIGN(const TensorIndex flat, builder.Reshape(node.name() + "/flat", x, matrix));
  TRY_ASSIGN(const TensorIndex y,
             builder.Emit(node.name(), {.attrs = graph::Softmax{1}, .inputs = {flat}}));
  return builder.Reshape(node.name() + "/shape", y, shape);
}

}  // namespace

EmitResult EmitBatchNormalization(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const int64_t training, node.Int("training_mode", 0));
  TRY_ASSIGN(const int64_t spatial, node.Int("spatial", 1));
  if (training != 0 || spatial == 0) {
    return node.Unsupported("only inference with statistics per channel is supported");
  }
  TRY_ASSIGN(const uint32_t channels, ChannelsOf(node, builder.shape(x)));
  TRY_ASSIGN(std::vector<float> scale, ChannelVector(node, 1, channels));
  TRY_ASSIGN(std::vector<float> shift, ChannelVector(node, 2, channels));
  TRY_ASSIGN(const std::vector<float> mean, ChannelVector(node, 3, channels));
  TRY_ASSIGN(const std::vector<float> variance, ChannelVector(node, 4, channels));
  TRY_ASSIGN(const float epsilon, node.Float("epsilon", 1e-5F));
  for (size_t c = 0; c < scale.size(); ++c) {
    const double factor = scale[c] / std::sqrt(double{variance[c]} + double{epsilon});
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>(shift[c] - mean[c] * factor);
  }
  return builder.Affine(node.name(), x, std::move(scale), std::move(shift));
}

EmitResult EmitInstanceNormalization(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const uint32_t rank = builder.shape(x).rank();
  TRY_ASSIGN(const uint32_t channels, ChannelsOf(node, builder.shape(x)));
  if (rank < 3) return node.Malformed("its input has no spatial axis");
  TRY_ASSIGN(std::vector<float> scale, ChannelVector(node, 1, channels));
  TRY_ASSIGN(std::vector<float> shift, ChannelVector(node, 2, channels));
  TRY_ASSIGN(const float epsilon, node.Float("epsilon", 1e-5F));
  graph::Reduce mean_over{graph::ReduceKind::kMean, std::vector<uint32_t>(rank - 2)};
  std::iota(mean_over.axes.begin(), mean_over.axes.end(), 2U);
  const std::string& name = node.name();
  TRY_ASSIGN(const TensorIndex mean,
             builder.Emit(name + "/mean", {.attrs = mean_over, .inputs = {x}}));
  TRY_ASSIGN(const TensorIndex centred,
             builder.Combine(name + "/centred", BinaryKind::kSub, x, mean));
  TRY_ASSIGN(const TensorIndex square,
             builder.Combine(name + "/square", BinaryKind::kMul, centred, centred));
  TRY_ASSIGN(const TensorIndex variance,
             builder.Emit(name + "/variance", {.attrs = mean_over, .inputs = {square}}));
  TRY_ASSIGN(const TensorIndex guarded,
             builder.CombineScalar(name + "/guarded", BinaryKind::kAdd, variance, epsilon));
  TRY_ASSIGN(const TensorIndex deviation,
             builder.Activate(name + "/deviation", guarded, {.kind = ActivationKind::kSqrt}));
  TRY_ASSIGN(const TensorIndex normal,
             builder.Combine(name + "/normal", BinaryKind::kDiv, centred, deviation));
  return builder.Affine(name, normal, std::move(scale), std::move(shift));
}

EmitResult EmitLayerNormalization(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape shape = builder.shape(x);
  TRY_ASSIGN(const int64_t listed, node.Int("axis", -1));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed, shape.rank(), node.Where()));
  Shape flat;
  uint64_t count = 1;
  for (uint32_t i = 0; i < shape.rank(); ++i) {
    if (i < axis) flat.Append(shape[i]);
    if (i >= axis) count *= shape[i];
  }
  flat.Append(static_cast<uint32_t>(count));  // the builder refuses what is too long
  if (count > UINT32_MAX) return node.Unsupported("normalises too many elements");
  auto source = std::make_shared<graph::WeightSource>();
  TRY_ASSIGN(source->scale, ChannelVector(node, 1, count));
  if (node.HasInput(2)) {
    TRY_ASSIGN(source->bias, ChannelVector(node, 2, count));
  }
  TRY_ASSIGN(const float epsilon, node.Float("epsilon", 1e-5F));
  TRY_ASSIGN(const TensorIndex rows, builder.Reshape(node.name() + "/rows", x, flat));
  TRY_ASSIGN(const TensorIndex y, builder.Emit(node.name(), {.attrs = graph::LayerNorm{epsilon},
                                                             .inputs = {rows},
                                                             .source = std::move(source)}));
  return builder.Reshape(node.name() + "/shape", y, shape);
}

EmitResult EmitSoftmax(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const int64_t listed, node.Int("axis", node.opset() >= 13 ? -1 : 1));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed, builder.shape(x).rank(), node.Where()));
  TRY_ASSIGN(const TensorIndex y, SoftmaxOver(node, builder, x, axis));
  if (node.proto().op_type() == "Softmax") return y;
  return builder.Activate(node.name() + "/log", y, {.kind = ActivationKind::kLog});
}

}  // namespace coracle::import

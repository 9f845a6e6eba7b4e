// The verifier's checks of what the owner has beside a node.
#include <fmt/format.h>

#include "graph/verify_node.h"

namespace coracle::graph {
namespace {

Status CheckVector(const Node& node, std::string_view what, size_t count, uint32_t channels) {
  if (count != 0 && count != channels) {
    return NodeError(node, fmt::format("{} has {} values for {} channels", what, count, channels));
  }
  return {};
}

Status CheckWeight(const Node& node, const Shape& expected) {
  const Constant* weight = node.source->weight.get();
  if (weight == nullptr) return NodeError(node, "has no weight");
  const DType dtype = node.weight_type == WeightType::kDot8 ? DType::kInt8 : DType::kFloat32;
  if (weight->dtype != dtype) {
    return NodeError(node, fmt::format("its weight is {}, must be {}", DTypeName(weight->dtype),
                                       DTypeName(dtype)));
  }
  if (weight->shape != expected) {
    return NodeError(node, fmt::format("its weight is {}, must be {}", weight->shape.ToString(),
                                       expected.ToString()));
  }
  if (weight->bytes.size() != expected.Elements() * DTypeBytes(dtype)) {
    return NodeError(node, "its weight's bytes do not match its shape");
  }
  return {};
}

uint32_t ChannelsOf(const Graph& graph, TensorIndex tensor) {
  const Shape& shape = graph.shape(tensor);
  return graph.stage == Stage::kRows ? shape.Back(0) : shape[1];
}

Status CheckDenseSource(const Graph& graph, const Node& node, const Dense& dense) {
  const uint32_t inputs = graph.shape(node.inputs[0]).Back(0);
  const bool inputs_first = node.source->dense_order == DenseOrder::kInputsByOutputs;
  const Shape expected =
      inputs_first ? Shape{inputs, dense.out_features} : Shape{dense.out_features, inputs};
  TRY(CheckWeight(node, expected));
  const Shape& flattened = node.source->flattened_from;
  if (flattened.rank() != 0 && (flattened.rank() != 3 || flattened.Elements() != inputs)) {
    return NodeError(node, "its input was not flattened from " + flattened.ToString());
  }
  return {};
}

Status CheckVectors(const Node& node, uint32_t channels) {
  const WeightSource& source = *node.source;
  TRY(CheckVector(node, "scale", source.scale.size(), channels));
  TRY(CheckVector(node, "bias", source.bias.size(), channels));
  const bool integers = node.weight_type == WeightType::kDot8;
  TRY(CheckVector(node, "zero point", source.weight_zero.size(), integers ? channels : 0));
  TRY(CheckVector(node, "integer bias", source.integer_bias.size(), integers ? channels : 0));
  const bool steps = node.weight_type == WeightType::kInt8;
  TRY(CheckVector(node, "weight steps", source.weight_steps.size(), steps ? channels : 0));
  for (const int32_t zero : source.weight_zero) {
    if (zero < -128 || zero > 127) {
      return NodeError(node, fmt::format("a zero point of {} is no int8", zero));
    }
  }
  return {};
}

}  // namespace

Status CheckSource(const Graph& graph, const Node& node) {
  if (node.source == nullptr) return {};
  const Shape& in = graph.shape(node.inputs[0]);
  switch (node.kind()) {
    case OpKind::kConv: {
      const Conv& conv = std::get<Conv>(node.attrs);
      const uint32_t in_channels = ChannelsOf(graph, node.inputs[0]);
      TRY(CheckWeight(node, {conv.out_channels, in_channels / conv.groups, conv.window.kernel_h,
                             conv.window.kernel_w}));
      return CheckVectors(node, conv.out_channels);
    }
    case OpKind::kConvTranspose: {
      const ConvTranspose& conv = std::get<ConvTranspose>(node.attrs);
      TRY(CheckWeight(node, {ChannelsOf(graph, node.inputs[0]), conv.out_channels / conv.groups,
                             conv.window.kernel_h, conv.window.kernel_w}));
      return CheckVectors(node, conv.out_channels);
    }
    case OpKind::kDense: {
      const Dense& dense = std::get<Dense>(node.attrs);
      TRY(CheckDenseSource(graph, node, dense));
      return CheckVectors(node, dense.out_features);
    }
    case OpKind::kAffine:
      return CheckVectors(node, ChannelsOf(graph, node.inputs[0]));
    case OpKind::kLayerNorm:
      return CheckVectors(node, in.Back(0));
    case OpKind::kBinary: {
      const Binary& binary = std::get<Binary>(node.attrs);
      if (binary.operands == Operands::kTensors) return NodeError(node, "has a stray constant");
      return CheckWeight(node, binary.constant_shape);
    }
    case OpKind::kRecurrence: {
      const Recurrence& recurrence = std::get<Recurrence>(node.attrs);
      const uint32_t sums = GateCount(recurrence.cell) * recurrence.hidden;
      TRY(CheckWeight(node, {sums, recurrence.hidden}));
      TRY(CheckVector(node, "bias", node.source->bias.size(), sums));
      const bool constant = recurrence.initial == InitialState::kConstant;
      if (node.source->initial_state.size() != (constant ? StateChannels(recurrence) : 0)) {
        return NodeError(node, "its initial state does not fit");
      }
      return {};
    }
    case OpKind::kAttention: {
      const Attention& attention = std::get<Attention>(node.attrs);
      if (attention.mask != AttentionMask::kConstant) {
        return NodeError(node, "has a stray constant");
      }
      return CheckWeight(node, attention.mask_shape);
    }
    default:
      return NodeError(node, "cannot have weights");
  }
}

}  // namespace coracle::graph

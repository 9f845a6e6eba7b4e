#include "graph/verify_node.h"

#include <fmt/format.h>

#include <cmath>

#include "graph/verify.h"

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
  if (weight->dtype != DType::kFloat32) return NodeError(node, "its weight is not float32");
  if (weight->shape != expected) {
    return NodeError(node, fmt::format("its weight is {}, must be {}", weight->shape.ToString(),
                                       expected.ToString()));
  }
  if (weight->bytes.size() != expected.Elements() * sizeof(float)) {
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
  TRY(CheckVector(node, "scale", node.source->scale.size(), channels));
  return CheckVector(node, "bias", node.source->bias.size(), channels);
}

}  // namespace

Error NodeError(const Node& node, std::string_view what) {
  return Error{Code::kMalformed, fmt::format("{} '{}': {}", OpName(node.kind()), node.name, what)};
}

Status CheckActivation(const Node& node) {
  const Activation& activation = node.activation;
  if (static_cast<uint8_t>(activation.kind) >= kActivationKindCount) {
    return NodeError(node, "its activation does not exist");
  }
  if (std::isnan(activation.a) || std::isnan(activation.b)) {
    return NodeError(node, "its activation's parameters are not numbers");
  }
  if (activation.kind != ActivationKind::kNone && !AllowsActivation(node.kind())) {
    return NodeError(node, "cannot have an activation");
  }
  return {};
}

Status CheckAlgorithm(const Graph& graph, const Node& node) {
  const Conv* conv = std::get_if<Conv>(&node.attrs);
  if (conv == nullptr || conv->algorithm == ConvAlgorithm::kDirect) return {};
  if (static_cast<uint8_t>(conv->algorithm) >= kConvAlgorithmCount) {
    return NodeError(node, "its algorithm does not exist");
  }
  if (graph.stage != Stage::kRows) return NodeError(node, "has an algorithm before it has rows");
  if (!AllowsWinograd(graph, node)) {
    return NodeError(node,
                     fmt::format("Winograd's algorithm takes 3x3 windows of stride 1 and dilation "
                                 "1, without groups, over a multiple of {} channels",
                                 kWinogradInputChannels));
  }
  return {};
}

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

Status CheckChunks(const Graph& graph, const Node& node, int64_t& last_index) {
  if (node.weights.chunks.empty()) return {};
  if (graph.stage != Stage::kRows) return NodeError(node, "has chunks before it has rows");
  std::optional<ChunkKind> expected;
  switch (node.kind()) {
    case OpKind::kConv:
      expected = IsDepthwise(graph, node) ? ChunkKind::kDepthwise : ChunkKind::kPanels;
      break;
    case OpKind::kConvTranspose:
    case OpKind::kDense:
      expected = ChunkKind::kPanels;
      break;
    case OpKind::kAffine:
    case OpKind::kLayerNorm:
    case OpKind::kRecurrence:
      expected = ChunkKind::kConstant;
      break;
    case OpKind::kBinary:
      if (node.inputs.size() == 1) expected = ChunkKind::kConstant;
      break;
    case OpKind::kAttention:
      if (std::get<Attention>(node.attrs).mask == AttentionMask::kConstant) {
        expected = ChunkKind::kConstant;
      }
      break;
    default:
      break;
  }
  for (const ChunkDescriptor& chunk : node.weights.chunks) {
    if (expected != chunk.kind) return NodeError(node, "has a chunk of the wrong kind");
    if (chunk.bytes == 0 || chunk.bytes > kMaxChunkBytes || chunk.bytes % kChunkAlignment != 0) {
      return NodeError(node, fmt::format("has a chunk of {} bytes", chunk.bytes));
    }
    const auto index = static_cast<int64_t>(Position(chunk.index));
    if (index <= last_index) return NodeError(node, "its chunk indices do not ascend");
    last_index = index;
  }
  return {};
}

}  // namespace coracle::graph

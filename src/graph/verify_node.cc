#include "graph/verify_node.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "graph/verify.h"

namespace coracle::graph {
namespace {

/// kInt8 and kInt4 are weights that are multiplied as float32; depthwise ones are few.
bool StoresSmaller(const Graph& graph, const Node& node) {
  switch (node.kind()) {
    case OpKind::kConv:
      return !IsDepthwise(graph, node);
    case OpKind::kConvTranspose:
    case OpKind::kDense:
      return true;
    default:
      return false;
  }
}

Status CheckIntegerSums(const Graph& graph, const Node& node) {
  const Conv* conv = std::get_if<Conv>(&node.attrs);
  if (conv == nullptr && node.kind() != OpKind::kDense) {
    return NodeError(node, "cannot compute on integers");
  }
  if (node.residual != Residual::kNone) return NodeError(node, "integer sums take no residual");
  if (conv != nullptr && conv->algorithm != ConvAlgorithm::kDirect) {
    return NodeError(node, "integer sums need the direct algorithm");
  }
  if (SumTerms(graph, node) > kMaxIntegerSumTerms) {
    return NodeError(node, fmt::format("sums {} products, at most {}", SumTerms(graph, node),
                                       kMaxIntegerSumTerms));
  }
  const IntegerSums& sums = node.integer;
  if (sums.in_source > QuantizationSource::kTensor ||
      (sums.in_source == QuantizationSource::kTensor && sums.in_zero != 0)) {
    return NodeError(node, "its input's zero point is stated twice or nowhere");
  }
  if (!std::isfinite(sums.out.scale) || sums.out.scale <= 0) {
    return NodeError(node, "its output's scale must be positive and finite");
  }
  const bool quantised = graph.tensor(node.output).dtype == DType::kUint8;
  if (!quantised && sums.out != Quantization{}) {
    return NodeError(node, "its output is float32 and has a scale or zero point");
  }
  return {};
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

Status CheckWeightType(const Graph& graph, const Node& node) {
  if (node.weight_type == WeightType::kDot8) return CheckIntegerSums(graph, node);
  if (node.integer != IntegerSums{}) return NodeError(node, "has stray integer sums");
  if (node.weight_type == WeightType::kFloat32) return {};
  const bool smaller =
      node.weight_type == WeightType::kInt8 || node.weight_type == WeightType::kInt4;
  if (!smaller || !StoresSmaller(graph, node)) {
    return NodeError(node, "cannot have weights of its type");
  }
  return {};
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
    if (chunk.coded_bytes >= chunk.bytes || chunk.coded_bytes % kChunkAlignment != 0) {
      return NodeError(node, fmt::format("has a chunk of {} bytes, coded in {}", chunk.bytes,
                                         chunk.coded_bytes));
    }
    const auto index = static_cast<int64_t>(Position(chunk.index));
    if (index <= last_index) return NodeError(node, "its chunk indices do not ascend");
    last_index = index;
  }
  return {};
}

}  // namespace coracle::graph

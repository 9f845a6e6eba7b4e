#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/dot8.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/partition.h"
#include "kernels/quantize_weights.h"
#include "kernels/recurrence.h"
#include "kernels/weight_index.h"

namespace coracle::kernels {
namespace {

using graph::ChunkDescriptor;
using graph::ChunkKind;
using graph::Graph;
using graph::Node;

constexpr uint64_t kFloatBytes = sizeof(float);

void PackPanels(const Graph& graph, const Node& node, const ChunkDescriptor& chunk,
                std::byte* text) {
  const graph::WeightSource& source = *node.source;
  const Partition partition = PartitionOf(graph, node);
  for (uint32_t i = 0; i < chunk.panel_count; ++i) {
    const PanelGeometry panel = PanelOf(partition, chunk.panel_begin + i);
    const PanelText layout(node.weight_type, panel.width, chunk.k_count, chunk.k_begin == 0);
    if (chunk.k_begin == 0) {
      auto* const bias = reinterpret_cast<float*>(text);
      for (uint32_t n = 0; n < panel.channel_count; ++n) {
        bias[n] = BiasOf(source, panel.channel_begin + n);
      }
    }
    const PanelWeights weights(node, partition, chunk, panel);
    if (IsDequantized(node.weight_type)) {
      PackQuantized(weights, source.weight_steps, panel, chunk.k_begin, layout, text);
    } else {
      for (uint32_t k = 0; k < chunk.k_count; ++k) {
        weights.Row(chunk.k_begin + k, reinterpret_cast<float*>(text + layout.RowAt(k)));
      }
    }
    text += layout.Bytes();
  }
}

void PackDepthwise(const Graph& graph, const Node& node, const ChunkDescriptor& chunk, float* out) {
  const graph::WeightSource& source = *node.source;
  const FloatSource weight(source);
  const graph::Window& window = std::get<graph::Conv>(node.attrs).window;
  const uint32_t taps = window.kernel_h * window.kernel_w;
  const uint32_t first = chunk.panel_begin * kPanelGranule;
  const uint32_t columns = chunk.panel_count * kPanelGranule;
  const uint32_t real = std::min(columns, graph.shape(node.inputs[0]).Back(0) - first);
  for (uint32_t n = 0; n < real; ++n) {
    const uint32_t channel = first + n;
    out[n] = BiasOf(source, channel);
    for (uint32_t tap = 0; tap < taps; ++tap) {
      out[uint64_t{tap + 1} * columns + n] =
          weight.At(uint64_t{channel} * taps + tap) * ScaleOf(source, channel);
    }
  }
}

/// Floats [first, first + out.size()) of a Recurrence's block.
void PackRecurrence(const graph::Recurrence& recurrence, const graph::WeightSource& source,
                    uint64_t first, std::span<float> out) {
  const CellGeometry cell(recurrence);
  const FloatSource weight(source);
  for (uint64_t i = 0; i < out.size() && first + i < cell.BlockFloats(); ++i) {
    const CellGeometry::Origin origin = cell.OriginOf(first + i);
    switch (origin.kind) {
      case CellGeometry::Origin::kPadding:
        break;
      case CellGeometry::Origin::kBias:
        out[i] = source.bias.empty() ? 0.0F : source.bias[origin.index];
        break;
      case CellGeometry::Origin::kWeight:
        out[i] = weight.At(origin.index);
        break;
      case CellGeometry::Origin::kState:
        out[i] = source.initial_state[origin.index];
        break;
    }
  }
}

/// Floats [first, first + out.size()) of the node's constant block; past its end zero.
void PackConstant(const Graph& graph, const Node& node, uint64_t first, std::span<float> out) {
  const graph::WeightSource& source = *node.source;
  if (node.kind() == graph::OpKind::kBinary || node.kind() == graph::OpKind::kAttention) {
    const uint64_t count = source.weight->shape.Elements();
    if (first < count) {
      FloatSource(source).Copy(first, out.first(std::min<uint64_t>(out.size(), count - first)));
    }
    return;
  }
  if (const auto* recurrence = std::get_if<graph::Recurrence>(&node.attrs)) {
    return PackRecurrence(*recurrence, source, first, out);
  }
  const uint32_t channels = graph.shape(node.inputs[0]).Back(0);
  const uint64_t padded = RoundUp(channels, kPanelGranule);
  for (uint64_t i = 0; i < out.size(); ++i) {
    const uint64_t at = first + i;
    const auto channel = static_cast<uint32_t>(at % padded);
    if (channel >= channels || at >= 2 * padded) continue;
    out[i] = at < padded ? ScaleOf(source, channel) : BiasOf(source, channel);
  }
}

/// Float offset of a kConstant chunk in its block. Requires: the chunk is one of the node's.
uint64_t ConstantOffset(const Node& node, const ChunkDescriptor& chunk) {
  uint64_t bytes = 0;
  for (const ChunkDescriptor& other : node.weights.chunks) {
    if (other.index == chunk.index) return bytes / kFloatBytes;
    bytes += other.bytes;
  }
  CORACLE_CHECK(false);  // not a chunk of the node
  return 0;
}

}  // namespace

void PackChunk(const Graph& graph, const Node& node, const ChunkDescriptor& chunk,
               std::span<std::byte> text) {
  CORACLE_CHECK(node.source != nullptr && text.size() == chunk.bytes);
  std::fill(text.begin(), text.end(), std::byte{0});
  if (node.weight_type == graph::WeightType::kDot8) {
    return PackDot8Chunk(graph, node, chunk, text.data());
  }
  const std::span<float> out(reinterpret_cast<float*>(text.data()), text.size() / kFloatBytes);
  switch (chunk.kind) {
    case ChunkKind::kPanels:
      return PackPanels(graph, node, chunk, text.data());
    case ChunkKind::kDepthwise:
      return PackDepthwise(graph, node, chunk, out.data());
    case ChunkKind::kConstant:
      return PackConstant(graph, node, ConstantOffset(node, chunk), out);
  }
}

}  // namespace coracle::kernels

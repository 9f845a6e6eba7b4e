#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/packing.h"
#include "kernels/partition.h"
#include "kernels/recurrence.h"

namespace coracle::kernels {
namespace {

using graph::ChunkDescriptor;
using graph::ChunkKind;
using graph::Graph;
using graph::Node;

constexpr uint64_t kFloatBytes = sizeof(float);

/// Floats of a constant that may lie unaligned in a mapped file.
class FloatSource {
 public:
  explicit FloatSource(const graph::WeightSource& source) {
    CORACLE_CHECK(source.weight != nullptr && source.weight->dtype == DType::kFloat32);
    bytes_ = source.weight->bytes;
  }
  float At(uint64_t index) const {
    CORACLE_CHECK((index + 1) * kFloatBytes <= bytes_.size());
    float value = 0;
    std::memcpy(&value, bytes_.data() + index * kFloatBytes, kFloatBytes);
    return value;
  }
  void Copy(uint64_t first, std::span<float> out) const {
    CORACLE_CHECK((first + out.size()) * kFloatBytes <= bytes_.size());
    std::memcpy(out.data(), bytes_.data() + first * kFloatBytes, out.size_bytes());
  }

 private:
  Bytes bytes_;
};

float ScaleOf(const graph::WeightSource& source, uint32_t channel) {
  return source.scale.empty() ? 1.0F : source.scale[channel];
}
float BiasOf(const graph::WeightSource& source, uint32_t channel) {
  return source.bias.empty() ? 0.0F : source.bias[channel];
}

/// Where weight (k, column) of a panel is in the owner's array.
class WeightIndex {
 public:
  WeightIndex(const Node& node, const Partition& partition, const ChunkDescriptor& chunk,
              const PanelGeometry& panel)
      : node_(node),
        partition_(partition),
        chunk_(chunk),
        panel_(panel),
        taps_(TapsOfPart(partition, panel.phase_y, panel.phase_x)) {}

  /// Index of (k, column 0).
  uint64_t At(uint32_t k) const {
    return node_.kind() == graph::OpKind::kDense ? DenseAt(k) : ConvAt(k);
  }
  /// Distance from column to column.
  uint64_t ColumnStride() const {
    if (node_.kind() == graph::OpKind::kDense) {
      const bool by_outputs = node_.source->dense_order == graph::DenseOrder::kInputsByOutputs;
      return by_outputs ? 1 : partition_.inputs_per_group;
    }
    return Kernel() * (partition_.transposed ? 1 : partition_.inputs_per_group);
  }

 private:
  uint64_t Kernel() const {
    return uint64_t{partition_.window.kernel_h} * partition_.window.kernel_w;
  }

  uint64_t ConvAt(uint32_t k) const {
    const auto [tap, input] = KRowOf(node_, taps_, chunk_, k);
    const uint64_t ky = taps_.y.first + uint64_t{tap / taps_.x.count} * taps_.y.step;
    const uint64_t kx = taps_.x.first + uint64_t{tap % taps_.x.count} * taps_.x.step;
    const uint64_t output = panel_.channel_begin;
    uint64_t pair = output * partition_.inputs_per_group + input;
    if (partition_.transposed) {
      const uint64_t in_channel = uint64_t{panel_.group} * partition_.inputs_per_group + input;
      const uint64_t first = uint64_t{panel_.group} * partition_.outputs_per_group;
      pair = in_channel * partition_.outputs_per_group + output - first;
    }
    return pair * Kernel() + ky * partition_.window.kernel_w + kx;
  }

  uint64_t DenseAt(uint32_t k) const {
    const graph::WeightSource& source = *node_.source;
    uint64_t row = k;
    if (const Shape& chw = source.flattened_from; chw.rank() == 3) {
      const uint64_t c = k % chw[0];
      row = c * chw[1] * chw[2] + k / chw[0];
    }
    const uint64_t output = panel_.channel_begin;
    return source.dense_order == graph::DenseOrder::kInputsByOutputs
               ? row * partition_.outputs_per_group + output
               : output * partition_.inputs_per_group + row;
  }

  const Node& node_;
  const Partition& partition_;
  const ChunkDescriptor& chunk_;
  const PanelGeometry& panel_;
  PartTaps taps_;
};

void PackPanels(const Graph& graph, const Node& node, const ChunkDescriptor& chunk, float* out) {
  const graph::WeightSource& source = *node.source;
  const FloatSource weight(source);
  const Partition partition = PartitionOf(graph, node);
  for (uint32_t i = 0; i < chunk.panel_count; ++i) {
    const PanelGeometry panel = PanelOf(partition, chunk.panel_begin + i);
    const WeightIndex index(node, partition, chunk, panel);
    const uint64_t stride = index.ColumnStride();
    if (chunk.k_begin == 0) {
      for (uint32_t n = 0; n < panel.channel_count; ++n) {
        out[n] = BiasOf(source, panel.channel_begin + n);
      }
      out += panel.width;
    }
    for (uint32_t k = chunk.k_begin; k < chunk.k_begin + chunk.k_count; ++k) {
      const uint64_t first = index.At(k);
      for (uint32_t n = 0; n < panel.channel_count; ++n) {
        out[n] = weight.At(first + n * stride) * ScaleOf(source, panel.channel_begin + n);
      }
      out += panel.width;
    }
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
  const std::span<float> out(reinterpret_cast<float*>(text.data()), text.size() / kFloatBytes);
  switch (chunk.kind) {
    case ChunkKind::kPanels:
      return PackPanels(graph, node, chunk, out.data());
    case ChunkKind::kDepthwise:
      return PackDepthwise(graph, node, chunk, out.data());
    case ChunkKind::kConstant:
      return PackConstant(graph, node, ConstantOffset(node, chunk), out);
  }
}

}  // namespace coracle::kernels

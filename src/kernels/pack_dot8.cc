#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/dot8.h"
#include "kernels/partition.h"
#include "kernels/weight_index.h"

namespace coracle::kernels {
namespace {

using graph::ChunkDescriptor;
using graph::Graph;
using graph::Node;

/// The owner's int8 weights less their zero points.
class ByteSource {
 public:
  explicit ByteSource(const Node& node) : source_(*node.source) {
    CORACLE_CHECK(source_.weight != nullptr && source_.weight->dtype == DType::kInt8);
  }
  int32_t At(uint64_t index) const {
    CORACLE_CHECK(index < source_.weight->bytes.size());
    return static_cast<int8_t>(source_.weight->bytes[index]);
  }
  int32_t Zero(uint32_t channel) const {
    return source_.weight_zero.empty() ? 0 : source_.weight_zero[channel];
  }

 private:
  const graph::WeightSource& source_;
};

/// One panel's (or depthwise chunk's) header.
class Header {
 public:
  Header(const Graph& graph, const Node& node, uint32_t width, std::byte* text)
      : node_(node), width_(width), rows_(Dot8HeaderRows(graph, node)), text_(text) {}

  /// Column n, output channel `channel`, whose weights of this chunk sum up to `weight_sum`.
  void Write(uint32_t n, uint32_t channel, bool begins, int32_t weight_sum) {
    const graph::WeightSource& source = *node_.source;
    const bool dynamic = node_.integer.in_source == graph::QuantizationSource::kTensor;
    uint32_t start = 0;  // sums are modulo 2^32
    if (begins && !source.integer_bias.empty()) {
      start = static_cast<uint32_t>(source.integer_bias[channel]);
    }
    if (!dynamic) start -= uint32_t{node_.integer.in_zero} * static_cast<uint32_t>(weight_sum);
    Put(Dot8Row::kStart, n, start);
    Put(Dot8Row::kMultiplier, n, source.scale.empty() ? 1.0F : source.scale[channel]);
    Put(Dot8Row::kBias, n, source.bias.empty() ? 0.0F : source.bias[channel]);
    if (dynamic) Put(static_cast<Dot8Row>(rows_ - 1), n, weight_sum);
  }
  void Put(Dot8Row row, uint32_t n, auto value) {
    static_assert(sizeof(value) == sizeof(int32_t));
    const size_t at = size_t{static_cast<uint32_t>(row)} * width_ + n;
    std::memcpy(text_ + at * sizeof(value), &value, sizeof(value));
  }
  /// Behind it.
  std::byte* end() const { return text_ + size_t{rows_} * width_ * sizeof(int32_t); }

 private:
  const Node& node_;
  uint32_t width_;
  uint32_t rows_;
  std::byte* text_;
};

void PackPanel(const Graph& graph, const Node& node, const ChunkDescriptor& chunk,
               const PanelGeometry& panel, std::byte* text) {
  const ByteSource weight(node);
  const Partition partition = PartitionOf(graph, node);
  const WeightIndex index(node, partition, chunk, panel);
  Header header(graph, node, panel.width, text);
  std::byte* const out = header.end();
  for (uint32_t n = 0; n < panel.channel_count; ++n) {
    const uint32_t channel = panel.channel_begin + n;
    const int32_t zero = weight.Zero(channel);
    int32_t sum = 0;
    for (uint32_t k = 0; k < chunk.k_count; ++k) {
      const int32_t w = weight.At(index.At(chunk.k_begin + k) + n * index.ColumnStride());
      const size_t group = size_t{k / kDot8Group} * panel.width + n;
      out[group * kDot8Group + k % kDot8Group] = static_cast<std::byte>(w);
      sum += w - zero;
    }
    header.Write(n, channel, chunk.k_begin == 0, sum);
    header.Put(Dot8Row::kWeightZero, n, zero);
  }
}

void PackDepthwise(const Graph& graph, const Node& node, const ChunkDescriptor& chunk,
                   std::byte* text) {
  const ByteSource weight(node);
  const graph::Window& window = std::get<graph::Conv>(node.attrs).window;
  const uint32_t taps = window.kernel_h * window.kernel_w;
  const uint32_t first = chunk.panel_begin * kPanelGranule;
  const uint32_t columns = chunk.panel_count * kPanelGranule;
  const uint32_t real = std::min(columns, graph.shape(node.inputs[0]).Back(0) - first);
  Header header(graph, node, columns, text);
  for (uint32_t n = 0; n < real; ++n) {
    const uint32_t channel = first + n;
    int32_t sum = 0;
    for (uint32_t tap = 0; tap < taps; ++tap) {
      const auto w =
          static_cast<int16_t>(weight.At(uint64_t{channel} * taps + tap) - weight.Zero(channel));
      std::memcpy(header.end() + (size_t{tap} * columns + n) * sizeof(w), &w, sizeof(w));
      sum += w;
    }
    header.Write(n, channel, true, sum);
  }
}

}  // namespace

void PackDot8Chunk(const Graph& graph, const Node& node, const ChunkDescriptor& chunk,
                   std::byte* text) {
  if (chunk.kind == graph::ChunkKind::kDepthwise) return PackDepthwise(graph, node, chunk, text);
  const Partition partition = PartitionOf(graph, node);
  for (uint32_t i = 0; i < chunk.panel_count; ++i) {
    const PanelGeometry panel = PanelOf(partition, chunk.panel_begin + i);
    PackPanel(graph, node, chunk, panel, text);
    text += Dot8PanelBytes(graph, node, panel.width, chunk.k_count);
  }
}

}  // namespace coracle::kernels

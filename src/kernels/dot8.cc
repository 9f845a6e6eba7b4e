#include "kernels/dot8.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/panel_workspace.h"
#include "kernels/partition.h"

namespace coracle::kernels {
namespace {

/// Bytes behind the copied windows that copying in whole vectors may touch.
constexpr uint64_t kCopySlack = 64;

}  // namespace

uint32_t Dot8HeaderRows(const graph::Graph& graph, const graph::Node& node) {
  const uint32_t rows = graph::IsDepthwise(graph, node) ? 3 : 4;
  return rows + (node.integer.in_source == graph::QuantizationSource::kTensor ? 1 : 0);
}

uint64_t Dot8PanelBytes(const graph::Graph& graph, const graph::Node& node, uint32_t width,
                        uint32_t k_count) {
  return (Dot8HeaderRows(graph, node) * sizeof(int32_t) + RoundUp(k_count, kDot8Group)) * width;
}

uint64_t Dot8BlockBytes(const graph::Graph& graph, const graph::Node& node) {
  const graph::Window& window = std::get<graph::Conv>(node.attrs).window;
  const uint64_t taps = uint64_t{window.kernel_h} * window.kernel_w;
  return (Dot8HeaderRows(graph, node) * sizeof(int32_t) + taps * sizeof(int16_t)) * kPanelGranule;
}

Dot8Workspace Dot8WorkspaceOf(const graph::Graph& graph, const graph::Node& node) {
  const Partition partition = PartitionOf(graph, node);
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  const uint64_t inputs = partition.inputs_per_group;
  Dot8Workspace out;
  // A chunk may begin and end within a tap: one segment more than there are taps.
  out.copies =
      inputs % kDot8Group != 0 || taps * CeilDiv(inputs, kDot8OutsideBytes) + 1 > kTileSegmentsMax;
  if (out.copies) {
    uint32_t rows = 0;
    for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
      rows = std::max(rows, chunk.k_count);
    }
    out.patch = RoundUp(kDotPixelsMax * RoundUp(rows, kDot8Group) + kCopySlack, 64);
  }
  if (node.weights.SplitsK()) {
    const graph::RowShape pixels = graph::RowsOf(graph.shape(node.output));
    const uint64_t width = PanelOf(partition, 0).width;
    out.partial = RoundUp(pixels.AllRows() * pixels.pixels * width * sizeof(int32_t), 64);
  }
  return out;
}

}  // namespace coracle::kernels

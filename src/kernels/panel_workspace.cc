#include "kernels/panel_workspace.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/dot8.h"
#include "kernels/panel_text.h"
#include "kernels/partition.h"

namespace coracle::kernels {
namespace {

bool HasPanels(const graph::Graph& graph, const graph::Node& node) {
  if (graph::IsDepthwise(graph, node)) return false;
  const graph::OpKind kind = node.kind();
  return kind == graph::OpKind::kConv || kind == graph::OpKind::kConvTranspose;
}

}  // namespace

bool WeavesGroups(const graph::Graph& graph, const graph::Node& node) {
  if (node.kind() != graph::OpKind::kConv || graph::IsDepthwise(graph, node)) return false;
  const Partition partition = PartitionOf(graph, node);
  const uint32_t channels = partition.inputs_per_group;
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  return partition.groups > 1 && channels == partition.outputs_per_group &&
         (channels == 2 || channels == 4 || channels == 8) && taps <= kTileSegmentsMax;
}

uint64_t DequantizedFloats(const graph::Graph& graph, const graph::Node& node) {
  if (!IsDequantized(node.weight_type)) return 0;
  const Partition partition = PartitionOf(graph, node);
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  const uint64_t rows = std::min<uint64_t>(taps * partition.inputs_per_group, kDequantizedRowsMax);
  const uint64_t columns =
      RoundUp(std::min(partition.outputs_per_group, kPanelChannels), kPanelGranule);
  return (rows + 1) * columns;  // and the biases
}

uint64_t PanelWorkspaceBytes(const graph::Graph& graph, const graph::Node& node) {
  if (node.weight_type == graph::WeightType::kDot8) {
    if (graph::IsDepthwise(graph, node)) return 0;
    const Dot8Workspace workspace = Dot8WorkspaceOf(graph, node);
    return workspace.patch + workspace.partial;
  }
  const uint64_t dequantized = DequantizedFloats(graph, node) * sizeof(float);
  if (!HasPanels(graph, node)) return dequantized;
  const Partition partition = PartitionOf(graph, node);
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  const uint64_t rows = taps * partition.inputs_per_group;
  uint64_t floats = 0;
  if (taps > 1 && partition.inputs_per_group < kPatchInputsMax) {
    floats = std::min<uint64_t>(rows, kPatchFloatsMax) * kTilePixelsMax;
  }
  if (WeavesGroups(graph, node)) floats = std::max(floats, (rows + 1) * kWovenColumns);
  return dequantized + RoundUp(floats * sizeof(float), 64);
}

bool PanelsSplitWindows(const graph::Graph& graph, const graph::Node& node) {
  if (IsDequantized(node.weight_type)) {
    const Partition partition = PartitionOf(graph, node);
    const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
    if (taps * partition.inputs_per_group > kDequantizedRowsMax) return true;
  }
  if (!HasPanels(graph, node)) return false;
  const Partition partition = PartitionOf(graph, node);
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  const uint64_t inputs = partition.inputs_per_group;
  if (inputs < kPatchInputsMax) {
    return taps * inputs > kPatchFloatsMax || taps > kTileSegmentsMax;
  }
  return taps * CeilDiv(inputs, kZeroPixelFloats) > kTileSegmentsMax;
}

}  // namespace coracle::kernels

#include "kernels/panel_workspace.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/partition.h"

namespace coracle::kernels {
namespace {

bool HasPanels(const graph::Graph& graph, const graph::Node& node) {
  if (graph::IsDepthwise(graph, node)) return false;
  const graph::OpKind kind = node.kind();
  return kind == graph::OpKind::kConv || kind == graph::OpKind::kConvTranspose;
}

}  // namespace

uint64_t PanelWorkspaceBytes(const graph::Graph& graph, const graph::Node& node) {
  if (!HasPanels(graph, node)) return 0;
  const Partition partition = PartitionOf(graph, node);
  const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
  if (taps == 1 || partition.inputs_per_group >= kPatchInputsMax) return 0;
  const uint64_t floats = std::min<uint64_t>(taps * partition.inputs_per_group, kPatchFloatsMax);
  return RoundUp(floats * kTilePixelsMax * sizeof(float), 64);
}

bool PanelsSplitWindows(const graph::Graph& graph, const graph::Node& node) {
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

#include "kernels/partition.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"

namespace coracle::kernels {
namespace {

/// Kernel positions k of one axis with phase + pad - k dilation divisible by the stride.
AxisTaps TapsOfPhase(uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad,
                     uint32_t phase) {
  AxisTaps out;
  out.step = stride / std::gcd(stride, dilation);
  out.count = 0;
  const uint64_t target = (uint64_t{phase} + pad) % stride;
  for (uint32_t k = 0; k < std::min(out.step, kernel); ++k) {
    if (uint64_t{k} * dilation % stride != target) continue;
    out.first = k;
    out.count = (kernel - k + out.step - 1) / out.step;
    break;
  }
  return out;
}

}  // namespace

Partition PartitionOf(const graph::Graph& graph, const graph::Node& node) {
  const uint32_t channels = graph.shape(node.inputs[0]).Back(0);
  Partition out;
  if (const auto* conv = std::get_if<graph::Conv>(&node.attrs)) {
    out.groups = conv->groups;
    out.inputs_per_group = channels / conv->groups;
    out.outputs_per_group = conv->out_channels / conv->groups;
    out.window = conv->window;
  } else if (const auto* transpose = std::get_if<graph::ConvTranspose>(&node.attrs)) {
    out.groups = transpose->groups;
    out.phases_y = transpose->window.stride_h;
    out.phases_x = transpose->window.stride_w;
    out.inputs_per_group = channels / transpose->groups;
    out.outputs_per_group = transpose->out_channels / transpose->groups;
    out.window = transpose->window;
    out.transposed = true;
  } else {
    const auto* dense = std::get_if<graph::Dense>(&node.attrs);
    CORACLE_CHECK(dense != nullptr);
    out.inputs_per_group = channels;
    out.outputs_per_group = dense->out_features;
  }
  return out;
}

PartTaps TapsOfPart(const Partition& partition, uint32_t phase_y, uint32_t phase_x) {
  const graph::Window& w = partition.window;
  PartTaps out;
  out.inputs = partition.inputs_per_group;
  if (partition.transposed) {
    out.y = TapsOfPhase(w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, phase_y);
    out.x = TapsOfPhase(w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, phase_x);
  } else {
    out.y.count = w.kernel_h;
    out.x.count = w.kernel_w;
  }
  return out;
}

uint64_t KRows(const PartTaps& taps) { return uint64_t{taps.y.count} * taps.x.count * taps.inputs; }

PanelGeometry PanelOf(const Partition& partition, uint32_t panel) {
  const uint32_t per_part = partition.PanelsPerPart();
  PanelGeometry out;
  out.part = panel / per_part;
  CORACLE_CHECK(out.part < partition.Parts());
  const uint32_t phases = partition.phases_y * partition.phases_x;
  out.group = out.part / phases;
  out.phase_y = out.part % phases / partition.phases_x;
  out.phase_x = out.part % partition.phases_x;
  const uint32_t first = panel % per_part * kPanelChannels;
  out.channel_begin = out.group * partition.outputs_per_group + first;
  out.channel_count = std::min(kPanelChannels, partition.outputs_per_group - first);
  out.width = static_cast<uint32_t>(RoundUp(out.channel_count, kPanelGranule));
  const uint64_t k = KRows(TapsOfPart(partition, out.phase_y, out.phase_x));
  CORACLE_CHECK(k <= UINT32_MAX);
  out.k_count = static_cast<uint32_t>(k);
  return out;
}

}  // namespace coracle::kernels

#include "kernels/simd/panels_part.h"

#include <algorithm>
#include <variant>

namespace coracle::kernels {
namespace {

PartAxis ConvAxis(uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad) {
  PartAxis axis;
  axis.taps = kernel;
  axis.tap_first = -int64_t{pad};
  axis.tap_step = dilation;
  axis.in_step = stride;
  return axis;
}

/// Tap k of output o reads input (o + pad - k dilation) / stride, where that divides; o = phase + p
/// stride.
PartAxis TransposeAxis(const AxisTaps& taps, uint32_t stride, uint32_t dilation, uint32_t pad,
                       uint32_t phase) {
  PartAxis axis;
  axis.taps = taps.count;
  axis.tap_first =
      (int64_t{phase} + pad - int64_t{taps.first} * dilation) / static_cast<int64_t>(stride);
  axis.tap_step = -(int64_t{taps.step} * dilation / static_cast<int64_t>(stride));
  axis.out_first = phase;
  axis.out_step = stride;
  return axis;
}

}  // namespace

RowRange PartAxis::Positions(uint32_t begin, uint32_t end) const {
  const auto first_at = [this](uint32_t coordinate) {
    return coordinate <= out_first ? 0U : (coordinate - out_first + out_step - 1) / out_step;
  };
  return {first_at(begin), std::max(first_at(begin), first_at(end))};
}

RowRange PartAxis::Inside(uint32_t count, uint32_t extent) const {
  if (taps == 0) return {0, count};
  const int64_t low = std::min(Tap(0), Tap(taps - 1));
  const int64_t high = std::max(Tap(0), Tap(taps - 1));
  const int64_t step = in_step;
  const int64_t begin = low >= 0 ? 0 : (-low + step - 1) / step;
  const int64_t room = int64_t{extent} - 1 - high;
  const int64_t end = room < 0 ? 0 : room / step + 1;
  const int64_t first = std::min<int64_t>(begin, count);
  return {static_cast<uint32_t>(first),
          static_cast<uint32_t>(std::clamp<int64_t>(end, first, count))};
}

PanelPart PartOf(const graph::Graph& graph, const graph::Node& node, const PanelGeometry& panel) {
  const PartTaps taps = TapsOf(graph, node, panel);
  PanelPart part;
  part.inputs = taps.inputs;
  part.input_begin = panel.group * taps.inputs;
  if (const auto* conv = std::get_if<graph::Conv>(&node.attrs)) {
    const graph::Window& w = conv->window;
    part.y = ConvAxis(w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
    part.x = ConvAxis(w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
  } else if (const auto* transpose = std::get_if<graph::ConvTranspose>(&node.attrs)) {
    const graph::Window& w = transpose->window;
    part.y = TransposeAxis(taps.y, w.stride_h, w.dilation_h, w.pad_top, panel.phase_y);
    part.x = TransposeAxis(taps.x, w.stride_w, w.dilation_w, w.pad_left, panel.phase_x);
  }
  return part;
}

}  // namespace coracle::kernels

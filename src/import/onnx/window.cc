#include "import/onnx/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/verify.h"

namespace coracle::import {
namespace {

Result<AutoPad> ReadAutoPad(const OnnxNode& node) {
  TRY_ASSIGN(const std::string text, node.String("auto_pad", "NOTSET"));
  if (text == "NOTSET" || text.empty()) return AutoPad::kNotSet;
  if (text == "SAME_UPPER") return AutoPad::kSameUpper;
  if (text == "SAME_LOWER") return AutoPad::kSameLower;
  if (text == "VALID") return AutoPad::kValid;
  return node.Malformed("its auto_pad is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID");
}

}  // namespace

Result<std::vector<uint32_t>> SpatialInts(const OnnxNode& node, std::string_view attribute,
                                          size_t count, int64_t least, uint32_t otherwise) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.Ints(attribute));
  if (listed.empty()) return std::vector<uint32_t>(count, otherwise);
  if (listed.size() != count) {
    return node.Malformed(
        fmt::format("{} has {} values, must have {}", attribute, listed.size(), count));
  }
  std::vector<uint32_t> values;
  for (const int64_t value : listed) {
    if (value < least || value > graph::kMaxKernel) {
      return node.Unsupported(fmt::format("{} has {}, must lie between {} and {}", attribute, value,
                                          least, graph::kMaxKernel));
    }
    values.push_back(static_cast<uint32_t>(value));
  }
  return values;
}

Result<WindowAttributes> ReadWindow(const OnnxNode& node, const Shape& x,
                                    std::span<const uint32_t> kernel) {
  if (x.rank() != 3 && x.rank() != 4) {
    return node.Unsupported(
        fmt::format("its input is {}; only N,C,H,W and N,C,W are supported", x.ToString()));
  }
  const size_t count = x.rank() - 2;
  if (kernel.size() != count) return node.Malformed("its kernel does not fit its input's rank");
  WindowAttributes window;
  TRY_ASSIGN(window.auto_pad, ReadAutoPad(node));
  TRY_ASSIGN(const auto strides, SpatialInts(node, "strides", count, 1, 1));
  TRY_ASSIGN(const auto dilations, SpatialInts(node, "dilations", count, 1, 1));
  TRY_ASSIGN(const auto pads, SpatialInts(node, "pads", 2 * count, 0, 0));
  const bool explicit_pads = window.auto_pad == AutoPad::kNotSet;
  for (size_t i = 0; i < count; ++i) {
    if (kernel[i] == 0 || kernel[i] > graph::kMaxKernel) {
      return node.Unsupported(
          fmt::format("kernel of {}, at most {}", kernel[i], graph::kMaxKernel));
    }
    window.axes.push_back({x[static_cast<uint32_t>(i + 2)], kernel[i], strides[i], dilations[i],
                           explicit_pads ? pads[i] : 0, explicit_pads ? pads[i + count] : 0});
  }
  return window;
}

void ResolveSamePads(WindowAttributes& window) {
  if (window.auto_pad != AutoPad::kSameUpper && window.auto_pad != AutoPad::kSameLower) return;
  for (WindowAxis& axis : window.axes) {
    const uint64_t out = (uint64_t{axis.in} + axis.stride - 1) / axis.stride;
    const uint64_t covered = (out - 1) * axis.stride + axis.Reach();
    const auto total = static_cast<uint32_t>(covered > axis.in ? covered - axis.in : 0);
    const uint32_t smaller = total / 2;
    const bool upper = window.auto_pad == AutoPad::kSameUpper;
    axis.pad_begin = upper ? smaller : total - smaller;
    axis.pad_end = total - axis.pad_begin;
  }
}

graph::Window ToGraphWindow(const WindowAttributes& window) {
  const WindowAxis h = window.axes.size() == 2 ? window.axes[0] : WindowAxis{};
  const WindowAxis w = window.axes.back();
  return {.kernel_h = h.kernel,
          .kernel_w = w.kernel,
          .stride_h = h.stride,
          .stride_w = w.stride,
          .dilation_h = h.dilation,
          .dilation_w = w.dilation,
          .pad_top = h.pad_begin,
          .pad_left = w.pad_begin,
          .pad_bottom = h.pad_end,
          .pad_right = w.pad_end};
}

Shape AsImage(const Shape& x) {
  if (x.rank() != 3) return x;
  return {x[0], x[1], 1, x[2]};
}

}  // namespace coracle::import

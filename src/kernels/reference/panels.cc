#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/store.h"

namespace coracle::kernels::reference {
namespace {

using graph::Node;

/// How one axis of an operator turns an output coordinate and a tap's kernel position into an input
/// coordinate.
struct Axis {
  bool transposed = false;
  int64_t stride = 1, dilation = 1, pad = 0;

  int64_t Input(uint32_t out, uint32_t kernel_position) const {
    const int64_t offset = int64_t{kernel_position} * dilation;
    return transposed ? (int64_t{out} + pad - offset) / stride
                      : int64_t{out} * stride - pad + offset;
  }
};

struct Axes {
  Axis y, x;
};

Axes AxesOf(const Node& node) {
  const auto* transpose = std::get_if<graph::ConvTranspose>(&node.attrs);
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  if (transpose == nullptr && conv == nullptr) return {};
  const graph::Window& w = transpose != nullptr ? transpose->window : conv->window;
  return {{transpose != nullptr, w.stride_h, w.dilation_h, w.pad_top},
          {transpose != nullptr, w.stride_w, w.dilation_w, w.pad_left}};
}

struct PhaseStep {
  uint32_t y = 1, x = 1;
};

PhaseStep PhaseStepOf(const Node& node) {
  const auto* transpose = std::get_if<graph::ConvTranspose>(&node.attrs);
  if (transpose == nullptr) return {};
  return {transpose->window.stride_h, transpose->window.stride_w};
}

/// One panel's share of a chunk at one output pixel.
class PanelSum {
 public:
  PanelSum(const PanelArgs& args, const PanelGeometry& panel, const std::byte* text)
      : args_(args),
        panel_(panel),
        taps_(TapsOf(*args.graph, *args.node, panel)),
        axes_(AxesOf(*args.node)),
        layout_(args.node->weight_type, panel.width, args.chunk->k_count, args.chunk->k_begin == 0),
        text_(text) {}

  uint64_t TextBytes() const { return layout_.Bytes(); }

  void Compute(const Image& image, uint32_t y, uint32_t x) {
    const graph::ChunkDescriptor& chunk = *args_.chunk;
    float* out = image.output.Pixel(y, x) + panel_.channel_begin;
    const auto* bias = reinterpret_cast<const float*>(text_);
    std::copy_n(chunk.k_begin == 0 ? bias : out, panel_.channel_count, sums_.begin());
    for (uint32_t row = 0; row < chunk.k_count; ++row) {
      const float value = InputAt(image.inputs[0], y, x, chunk.k_begin + row);
      for (uint32_t n = 0; n < panel_.channel_count; ++n) {
        sums_[n] = std::fma(value, layout_.Weight(text_, row, n), sums_[n]);
      }
    }
    const bool complete = chunk.k_begin + chunk.k_count == panel_.k_count;
    for (uint32_t n = 0; n < panel_.channel_count; ++n) {
      out[n] = complete ? Finish(*args_.node, image, y, x, panel_.channel_begin + n, sums_[n])
                        : sums_[n];
    }
  }

 private:
  float InputAt(const Rows& in, uint32_t y, uint32_t x, uint32_t k) const {
    const auto [tap, input] = KRowOf(*args_.node, taps_, *args_.chunk, k);
    const uint32_t ky = taps_.y.first + tap / taps_.x.count * taps_.y.step;
    const uint32_t kx = taps_.x.first + tap % taps_.x.count * taps_.x.step;
    const int64_t iy = axes_.y.Input(y, ky);
    const int64_t ix = axes_.x.Input(x, kx);
    if (iy < 0 || iy >= in.rows || ix < 0 || ix >= in.pixels) return 0;
    const uint32_t channel = panel_.group * taps_.inputs + input;
    return in.Pixel(static_cast<uint32_t>(iy), static_cast<uint32_t>(ix))[channel];
  }

  const PanelArgs& args_;
  const PanelGeometry& panel_;
  PartTaps taps_;
  Axes axes_;
  PanelText layout_;
  const std::byte* text_;
  std::array<float, kPanelChannels> sums_{};
};

}  // namespace

void Panels(const PanelArgs& args, RowRange rows) {
  const PhaseStep step = PhaseStepOf(*args.node);
  const std::byte* text = args.weights;
  for (uint32_t i = 0; i < args.chunk->panel_count; ++i) {
    const PanelGeometry panel = PanelAt(*args.graph, *args.node, args.chunk->panel_begin + i);
    PanelSum sum(args, panel, text);
    for (const Image& image : args.images) {
      for (uint32_t y = rows.begin; y < rows.end; ++y) {
        if (y % step.y != panel.phase_y) continue;
        for (uint32_t x = panel.phase_x; x < image.output.pixels; x += step.x) {
          sum.Compute(image, y, x);
        }
      }
    }
    text += sum.TextBytes();
  }
}

}  // namespace coracle::kernels::reference

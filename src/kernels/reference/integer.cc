// WeightType::kDot8: integer sums (graph/quantization.h) over chunks of dot8.h's layout.
#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/dot8.h"
#include "kernels/quantized.h"
#include "kernels/reference/activation.h"
#include "kernels/reference/quantize.h"
#include "kernels/reference/reference.h"
#include "kernels/window_axis.h"

namespace coracle::kernels::reference {
namespace {

using graph::QuantizationSource;

/// One panel's (or depthwise chunk's) header, of `width` columns.
class Header {
 public:
  Header(const PanelArgs& args, uint32_t width, const std::byte* text)
      : args_(args),
        width_(width),
        rows_(Dot8HeaderRows(*args.graph, *args.node)),
        text_(text),
        end_(text + size_t{rows_} * width * sizeof(int32_t)) {}

  template <typename Value>
  Value At(Dot8Row row, uint32_t n) const {
    Value value;
    const size_t at = size_t{static_cast<uint32_t>(row)} * width_ + n;
    std::memcpy(&value, text_ + at * sizeof(value), sizeof(value));
    return value;
  }
  /// What the sum of x w starts from; modulo 2^32, as all sums.
  uint32_t Start(uint32_t n, uint8_t in_zero) const {
    uint32_t start = At<uint32_t>(Dot8Row::kStart, n);
    if (args_.node->integer.in_source == QuantizationSource::kTensor) {
      start -= in_zero * At<uint32_t>(static_cast<Dot8Row>(rows_ - 1), n);
    }
    return start;
  }
  /// Stores column n of a complete sum at `channel` of an output pixel.
  void Finish(const Image& image, uint32_t y, uint32_t x, uint32_t channel, uint32_t n,
              uint32_t sum) const {
    const graph::Node& node = *args_.node;
    float multiplier = At<float>(Dot8Row::kMultiplier, n);
    if (node.integer.in_source == QuantizationSource::kTensor) {
      multiplier = RangeOf(image.inputs.back()).scale * multiplier;
    }
    const float scaled = static_cast<float>(static_cast<int32_t>(sum)) * multiplier;
    const float value = Activate(node.activation, scaled + At<float>(Dot8Row::kBias, n));
    if (args_.graph->tensor(node.output).dtype == DType::kUint8) {
      image.output.Pixel<uint8_t>(y, x)[channel] = QuantizeValue(value, node.integer.out);
    } else {
      image.output.Pixel(y, x)[channel] = value;
    }
  }
  const std::byte* end() const { return end_; }

 private:
  const PanelArgs& args_;
  uint32_t width_;
  uint32_t rows_;
  const std::byte* text_;
  const std::byte* end_;
};

uint8_t InZero(const PanelArgs& args, const Image& image) {
  const graph::IntegerSums& integer = args.node->integer;
  return QuantizationOf({1, integer.in_zero}, integer.in_source, image).zero;
}

/// Where the windows of a Conv or Dense lie.
struct Axes {
  WindowAxis y, x;

  explicit Axes(const graph::Node& node) {
    if (const auto* conv = std::get_if<graph::Conv>(&node.attrs)) {
      y = VerticalAxis(conv->window);
      x = HorizontalAxis(conv->window);
    }
  }
  /// What a tap of output pixel (out_y, out_x) reads.
  uint8_t Input(const Image& image, uint32_t out_y, uint32_t out_x, uint32_t tap, uint32_t channel,
                uint8_t in_zero) const {
    const Rows& in = image.inputs[0];
    const int64_t in_y = y.Input(out_y, tap / x.kernel);
    const int64_t in_x = x.Input(out_x, tap % x.kernel);
    if (in_y < 0 || in_y >= in.rows || in_x < 0 || in_x >= in.pixels) return in_zero;
    return in.Pixel<uint8_t>(static_cast<uint32_t>(in_y), static_cast<uint32_t>(in_x))[channel];
  }
};

/// One panel's share of a chunk at one output pixel, whose sums so far are `partial`.
void ComputePixel(const PanelArgs& args, const PanelGeometry& panel, const std::byte* text,
                  const Image& image, uint32_t y, uint32_t x, uint32_t* partial) {
  const graph::ChunkDescriptor& chunk = *args.chunk;
  const PartTaps taps = TapsOf(*args.graph, *args.node, panel);
  const Header header(args, panel.width, text);
  const Axes axes(*args.node);
  const uint8_t in_zero = InZero(args, image);
  std::array<uint32_t, kPanelChannels> sums{};
  uint32_t inputs = 0;
  for (uint32_t k = 0; k < chunk.k_count; ++k) {
    const auto [tap, input] = KRowOf(*args.node, taps, chunk, chunk.k_begin + k);
    const uint32_t channel = panel.group * taps.inputs + input;
    const uint32_t value = axes.Input(image, y, x, tap, channel, in_zero);
    inputs += value;
    const std::byte* group = header.end() + size_t{k / kDot8Group} * panel.width * kDot8Group;
    for (uint32_t n = 0; n < panel.channel_count; ++n) {
      const auto weight = static_cast<int8_t>(group[n * kDot8Group + k % kDot8Group]);
      sums[n] += value * static_cast<uint32_t>(int32_t{weight});
    }
  }
  const bool complete = chunk.k_begin + chunk.k_count == panel.k_count;
  for (uint32_t n = 0; n < panel.channel_count; ++n) {
    sums[n] += header.Start(n, in_zero) - inputs * header.At<uint32_t>(Dot8Row::kWeightZero, n);
    if (chunk.k_begin > 0) sums[n] += partial[n];
    if (complete) {
      header.Finish(image, y, x, panel.channel_begin + n, n, sums[n]);
    } else {
      partial[n] = sums[n];
    }
  }
}

void ComputeDepthwisePixel(const PanelArgs& args, const Image& image, uint32_t y, uint32_t x) {
  const Axes axes(*args.node);
  const uint32_t first = args.chunk->panel_begin * kPanelGranule;
  const uint32_t columns = args.chunk->panel_count * kPanelGranule;
  const uint32_t count = std::min(columns, image.output.channels - first);
  const Header header(args, columns, args.weights);
  const uint8_t in_zero = InZero(args, image);
  for (uint32_t n = 0; n < count; ++n) {
    uint32_t sum = header.Start(n, in_zero);
    for (uint32_t tap = 0; tap < axes.y.kernel * axes.x.kernel; ++tap) {
      int16_t weight = 0;
      std::memcpy(&weight, header.end() + (size_t{tap} * columns + n) * sizeof(weight),
                  sizeof(weight));
      const uint32_t value = axes.Input(image, y, x, tap, first + n, in_zero);
      sum += value * static_cast<uint32_t>(int32_t{weight});
    }
    header.Finish(image, y, x, first + n, n, sum);
  }
}

}  // namespace

void IntegerPanels(const PanelArgs& args, RowRange rows) {
  const std::byte* text = args.weights;
  const Dot8Workspace workspace = Dot8WorkspaceOf(*args.graph, *args.node);
  for (uint32_t i = 0; i < args.chunk->panel_count; ++i) {
    const PanelGeometry panel = PanelAt(*args.graph, *args.node, args.chunk->panel_begin + i);
    auto* partial = reinterpret_cast<uint32_t*>(args.workspace.data() + workspace.patch);
    for (const Image& image : args.images) {
      for (uint32_t y = rows.begin; y < rows.end; ++y) {
        for (uint32_t x = 0; x < image.output.pixels; ++x, partial += panel.width) {
          ComputePixel(args, panel, text, image, y, x, partial);
        }
      }
    }
    text += Dot8PanelBytes(*args.graph, *args.node, panel.width, args.chunk->k_count);
  }
}

void IntegerDepthwise(const PanelArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        ComputeDepthwisePixel(args, image, y, x);
      }
    }
  }
}

}  // namespace coracle::kernels::reference

#include "kernels/simd/panels_case.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string_view>

#include "base/check.h"
#include "kernels/panel_text.h"
#include "kernels/quantize_weights.h"

namespace coracle::kernels {
namespace {

using graph::OpKind;

uint32_t ConvExtent(uint32_t in, uint32_t kernel, uint32_t stride, uint32_t dilation,
                    uint32_t pads) {
  return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}
uint32_t TransposeExtent(uint32_t in, uint32_t kernel, uint32_t stride, uint32_t dilation,
                         uint32_t pads, uint32_t extra) {
  return (in - 1) * stride + dilation * (kernel - 1) + 1 + extra - pads;
}

std::vector<float> Random(size_t count, uint64_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  std::vector<float> out(count);
  for (float& x : out) x = uniform(random);
  return out;
}

}  // namespace

float ExactActivation(const graph::Activation& f, float x) {
  switch (f.kind) {
    case graph::ActivationKind::kNone:
      return x;
    case graph::ActivationKind::kRelu:
      return std::max(x, 0.0F);
    case graph::ActivationKind::kLeakyRelu:
      return x > 0 ? x : f.a * x;
    case graph::ActivationKind::kClip:
      return std::min(std::max(x, f.a), f.b);
    case graph::ActivationKind::kAbs:
      return std::abs(x);
    default:
      CORACLE_CHECK(false);  // no exact activation
      return 0;
  }
}

std::string Describe(const LayerShape& s) {
  const graph::Window& w = s.window;
  std::string out(graph::OpName(s.kind));
  const auto add = [&out](std::string_view label, uint32_t value) {
    out += label;
    out += std::to_string(value);
  };
  add(" n", s.images);
  add(" ", s.height);
  add("x", s.width);
  add(" ", s.inputs);
  add("->", s.outputs);
  add(" g", s.groups);
  add(" k", w.kernel_h);
  add("x", w.kernel_w);
  add(" s", w.stride_h);
  add("x", w.stride_w);
  add(" d", w.dilation_h);
  add("x", w.dilation_w);
  add(" p", w.pad_top);
  add(",", w.pad_left);
  return out + " " + std::string(graph::WeightTypeName(s.weight_type));
}

LayerCase::LayerCase(const LayerShape& shape, uint64_t seed) : shape_(shape) {
  const graph::Window& w = shape.window;
  graph::Node node;
  node.name = "layer";
  uint32_t kernel = w.kernel_h * w.kernel_w;
  if (shape.kind == OpKind::kConv) {
    node.attrs = graph::Conv{w, shape.groups, shape.outputs, shape.algorithm};
    output_height_ =
        ConvExtent(shape.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top + w.pad_bottom);
    output_width_ =
        ConvExtent(shape.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left + w.pad_right);
  } else if (shape.kind == OpKind::kConvTranspose) {
    node.attrs =
        graph::ConvTranspose{w, shape.groups, shape.outputs, shape.output_pad, shape.output_pad};
    output_height_ = TransposeExtent(shape.height, w.kernel_h, w.stride_h, w.dilation_h,
                                     w.pad_top + w.pad_bottom, shape.output_pad);
    output_width_ = TransposeExtent(shape.width, w.kernel_w, w.stride_w, w.dilation_w,
                                    w.pad_left + w.pad_right, shape.output_pad);
  } else {
    node.attrs = graph::Dense{shape.outputs};
    output_height_ = shape.height;
    output_width_ = shape.width;
    kernel = 1;
  }
  const Shape in{shape.images, shape.height, shape.width, shape.inputs};
  const Shape out{shape.images, output_height_, output_width_, shape.outputs};
  graph_.stage = graph::Stage::kRows;
  node.inputs = {graph_.AddTensor("in", in)};
  if (shape.residual != graph::Residual::kNone) {
    node.inputs.push_back(graph_.AddTensor("residual", out));
  }
  node.output = graph_.AddTensor("out", out);
  node.activation = shape.activation;
  node.residual = shape.residual;
  const auto floats = std::make_shared<std::vector<float>>(
      Random(size_t{shape.inputs} / shape.groups * shape.outputs * kernel, seed));
  auto weight = std::make_shared<graph::Constant>();
  weight->name = std::string("w");  // GCC 12 sees an overlap in = "w"
  weight->bytes = std::as_bytes(std::span(*floats));
  weight->owner = floats;
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = weight;
  source->bias = Random(shape.outputs, seed + 1);
  node.source = source;
  graph_.AddNode(std::move(node));
  if (IsDequantized(shape.weight_type) && AllowsQuantizedWeights(graph_, graph_.nodes[0])) {
    graph_.nodes[0].weight_type = shape.weight_type;
    MeasureQuantization(graph_, graph_.nodes[0], shape.weight_type, source->weight_steps);
  }
  SetLayout(CutIntoChunks(graph_, graph_.nodes[0], graph::ChunkIndex{}));
}

void LayerCase::SetLayout(graph::WeightLayout layout) {
  graph_.nodes[0].weights = std::move(layout);
  const Status status = CheckLayout(graph_, node(), node().weights);
  CORACLE_CHECK(status.ok());
  texts_.clear();
  for (const graph::ChunkDescriptor& chunk : node().weights.chunks) {
    AlignedText text;
    text.floats.resize(chunk.bytes / sizeof(float) + 16);
    const auto address = reinterpret_cast<uintptr_t>(text.floats.data());
    text.skip = (64 - address % 64) % 64 / sizeof(float);
    texts_.push_back(std::move(text));
    AlignedText& kept = texts_.back();
    PackChunk(graph_, node(), chunk,
              std::as_writable_bytes(std::span(kept.floats).subspan(kept.skip)).first(chunk.bytes));
  }
  ReadBack();
}

std::span<const float> LayerCase::owner_weights() const {
  const Bytes bytes = node().source->weight->bytes;
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

/// What the chunks hold, back in the owner's order.
void LayerCase::ReadBack() {
  weights_.assign(owner_weights().begin(), owner_weights().end());
  if (!IsDequantized(node().weight_type)) return;
  std::fill(weights_.begin(), weights_.end(), std::numeric_limits<float>::quiet_NaN());
  for (size_t c = 0; c < texts_.size(); ++c) {
    const graph::ChunkDescriptor& chunk = node().weights.chunks[c];
    const std::byte* text = Text(c);
    for (uint32_t i = 0; i < chunk.panel_count; ++i) {
      const PanelGeometry panel = PanelAt(graph_, node(), chunk.panel_begin + i);
      const PartTaps taps = TapsOf(graph_, node(), panel);
      const PanelText layout(node().weight_type, panel.width, chunk.k_count, chunk.k_begin == 0);
      for (uint32_t row = 0; row < chunk.k_count; ++row) {
        const KRow k = KRowOf(node(), taps, chunk, chunk.k_begin + row);
        const uint32_t ky = taps.y.first + k.tap / taps.x.count * taps.y.step;
        const uint32_t kx = taps.x.first + k.tap % taps.x.count * taps.x.step;
        for (uint32_t n = 0; n < panel.channel_count; ++n) {
          weights_[WeightIndex(panel.channel_begin + n, k.input, ky, kx)] =
              layout.Weight(text, row, n);
        }
      }
      text += layout.Bytes();
    }
  }
}

size_t LayerCase::InputElements() const {
  return size_t{shape_.images} * shape_.height * shape_.width * shape_.inputs;
}
size_t LayerCase::OutputElements() const {
  return size_t{shape_.images} * output_height_ * output_width_ * shape_.outputs;
}
std::vector<float> LayerCase::RandomFloats(size_t count, uint64_t seed) const {
  return Random(count, seed);
}

size_t LayerCase::WeightIndex(uint32_t out, uint32_t in, uint32_t ky, uint32_t kx) const {
  const graph::Window& w = shape_.window;
  const uint32_t inputs = shape_.inputs / shape_.groups;
  const uint32_t outputs = shape_.outputs / shape_.groups;
  if (shape_.kind == OpKind::kDense) return size_t{in} * shape_.outputs + out;
  size_t pair = size_t{out} * inputs + in;
  if (shape_.kind == OpKind::kConvTranspose) {
    pair = (size_t{out / outputs} * inputs + in) * outputs + out % outputs;
  }
  return (pair * w.kernel_h + ky) * w.kernel_w + kx;
}

/// One chain over taps and channels; taps outside of the image multiply zero.
template <typename Real>
Real LayerCase::Sum(const std::vector<float>& input, uint32_t image, uint32_t y, uint32_t x,
                    uint32_t channel) const {
  const graph::Window& w = shape_.window;
  const uint32_t inputs = shape_.inputs / shape_.groups;
  const uint32_t group = channel / (shape_.outputs / shape_.groups);
  const bool transposed = shape_.kind == OpKind::kConvTranspose;
  const bool dense = shape_.kind == OpKind::kDense;
  Real sum = node().source->bias[channel];
  for (uint32_t ky = 0; ky < (dense ? 1 : w.kernel_h); ++ky) {
    for (uint32_t kx = 0; kx < (dense ? 1 : w.kernel_w); ++kx) {
      int64_t in_y = y;
      int64_t in_x = x;
      if (transposed) {
        in_y = int64_t{y} + w.pad_top - int64_t{ky} * w.dilation_h;
        in_x = int64_t{x} + w.pad_left - int64_t{kx} * w.dilation_w;
        if (in_y % w.stride_h != 0 || in_x % w.stride_w != 0) continue;
        in_y /= w.stride_h;
        in_x /= w.stride_w;
      } else if (!dense) {
        in_y = int64_t{y} * w.stride_h - w.pad_top + int64_t{ky} * w.dilation_h;
        in_x = int64_t{x} * w.stride_w - w.pad_left + int64_t{kx} * w.dilation_w;
      }
      const bool inside = in_y >= 0 && in_y < shape_.height && in_x >= 0 && in_x < shape_.width;
      const size_t pixel =
          inside ? (size_t{image} * shape_.height + static_cast<size_t>(in_y)) * shape_.width +
                       static_cast<size_t>(in_x)
                 : 0;
      for (uint32_t c = 0; c < inputs; ++c) {
        const float a = inside ? input[pixel * shape_.inputs + size_t{group} * inputs + c] : 0.0F;
        sum = std::fma(Real{a}, Real{weights_[WeightIndex(channel, c, ky, kx)]}, sum);
      }
    }
  }
  return sum;
}

double LayerCase::SumInFloat64(const std::vector<float>& input, uint32_t y, uint32_t x,
                               uint32_t channel) const {
  return Sum<double>(input, 0, y, x, channel);
}

std::vector<float> LayerCase::Expected(const std::vector<float>& input,
                                       const std::vector<float>& residual) const {
  std::vector<float> out;
  out.reserve(OutputElements());
  for (uint32_t image = 0; image < shape_.images; ++image) {
    for (uint32_t y = 0; y < output_height_; ++y) {
      for (uint32_t x = 0; x < output_width_; ++x) {
        for (uint32_t channel = 0; channel < shape_.outputs; ++channel) {
          float value = Sum<float>(input, image, y, x, channel);
          if (shape_.residual == graph::Residual::kBeforeActivation) value += residual[out.size()];
          value = ExactActivation(shape_.activation, value);
          if (shape_.residual == graph::Residual::kAfterActivation) value += residual[out.size()];
          out.push_back(value);
        }
      }
    }
  }
  return out;
}

}  // namespace coracle::kernels

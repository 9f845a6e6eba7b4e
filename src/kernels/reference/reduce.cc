// Reduce, LayerNorm, Softmax.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "kernels/packing.h"
#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

/// A reduction under way, in float64.
class Reduction {
 public:
  explicit Reduction(graph::ReduceKind kind) : kind_(kind) {}

  void Add(float value) {
    sum_ += value;
    max_ = std::max(max_, value);
    min_ = std::min(min_, value);
    ++count_;
  }
  float Value() const {
    switch (kind_) {
      case graph::ReduceKind::kMean:
        return static_cast<float>(sum_ / static_cast<double>(count_));
      case graph::ReduceKind::kSum:
        return static_cast<float>(sum_);
      case graph::ReduceKind::kMax:
        return max_;
      case graph::ReduceKind::kMin:
        return min_;
    }
    return 0;
  }

 private:
  graph::ReduceKind kind_;
  double sum_ = 0;
  uint64_t count_ = 0;
  float max_ = -std::numeric_limits<float>::infinity();
  float min_ = std::numeric_limits<float>::infinity();
};

void ReduceSpatial(graph::ReduceKind kind, const Image& image) {
  const Rows& in = image.inputs[0];
  for (uint32_t c = 0; c < in.channels; ++c) {
    Reduction reduction(kind);
    for (uint32_t y = 0; y < in.rows; ++y) {
      for (uint32_t x = 0; x < in.pixels; ++x) reduction.Add(in.Pixel(y, x)[c]);
    }
    image.output.Row(0)[c] = reduction.Value();
  }
}

void NormalisePixel(const RowArgs& args, const float* in, float* out, uint32_t channels) {
  double sum = 0;
  for (uint32_t c = 0; c < channels; ++c) sum += in[c];
  const double mean = sum / channels;
  double squares = 0;
  for (uint32_t c = 0; c < channels; ++c) squares += (in[c] - mean) * (in[c] - mean);
  const double epsilon = std::get<graph::LayerNorm>(args.node->attrs).epsilon;
  const double inverse = 1 / std::sqrt(squares / channels + epsilon);
  const float* scale = args.constants;
  const float* bias = scale + RoundUp(channels, kPanelGranule);
  for (uint32_t c = 0; c < channels; ++c) {
    out[c] = static_cast<float>((in[c] - mean) * inverse * scale[c] + bias[c]);
  }
}

void SoftmaxPixel(const float* in, float* out, uint32_t channels) {
  const double largest = *std::max_element(in, in + channels);
  double sum = 0;
  for (uint32_t c = 0; c < channels; ++c) sum += std::exp(in[c] - largest);
  for (uint32_t c = 0; c < channels; ++c) {
    out[c] = static_cast<float>(std::exp(in[c] - largest) / sum);
  }
}

}  // namespace

void Reduce(const RowArgs& args, RowRange rows) {
  const graph::ReduceKind kind = std::get<graph::Reduce>(args.node->attrs).kind;
  const bool spatial = PerImage(*args.graph, *args.node);
  for (const Image& image : args.images) {
    if (spatial && rows.count() > 0) ReduceSpatial(kind, image);
    for (uint32_t y = rows.begin; !spatial && y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        Reduction reduction(kind);
        const float* in = image.inputs[0].Pixel(y, x);
        for (uint32_t c = 0; c < image.inputs[0].channels; ++c) reduction.Add(in[c]);
        *image.output.Pixel(y, x) = reduction.Value();
      }
    }
  }
}

void LayerNorm(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        NormalisePixel(args, image.inputs[0].Pixel(y, x), image.output.Pixel(y, x),
                       image.output.channels);
      }
    }
  }
}

void Softmax(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        SoftmaxPixel(image.inputs[0].Pixel(y, x), image.output.Pixel(y, x), image.output.channels);
      }
    }
  }
}

}  // namespace coracle::kernels::reference

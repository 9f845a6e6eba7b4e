// Random networks: branches, concatenations, slices, residuals, reshapes and heads.
#include <algorithm>
#include <random>

#include "plan/test_networks.h"

namespace coracle::plan {
namespace {

using T = graph::TensorIndex;

class RandomNetwork {
 public:
  explicit RandomNetwork(uint32_t seed) : random_(seed) {}

  graph::Graph Make() {
    images_ = Below(4) == 0 ? 2 : 1;
    const uint32_t inputs = 1 + Below(2);
    for (uint32_t i = 0; i < inputs; ++i) {
      made_.push_back(net_.Input({images_, Side(), Side(), 3 + Below(14)}));
    }
    const uint32_t count = 5 + Below(30);
    for (uint32_t i = 0; i < count; ++i) {
      const auto recent = std::min<uint32_t>(3, static_cast<uint32_t>(made_.size()));
      const T x = made_[made_.size() - 1 - Below(recent)];
      made_.push_back(net_.ShapeOf(x).rank() == 4 ? GrowImage(x) : GrowRows(x));
    }
    net_.Output(made_.back());
    if (Below(2) == 0) net_.Output(made_[made_.size() - 3]);
    return net_.Finish();
  }

 private:
  /// Mostly small, some odd, a few large enough to lie outside.
  uint32_t Side() {
    switch (Below(4)) {
      case 0:
        return 5 + Below(13);
      case 1:
        return 24 + Below(25);
      default:
        return 4 + 4 * Below(4);
    }
  }

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  T AnyOf(const std::vector<T>& tensors) {
    return tensors[Below(static_cast<uint32_t>(tensors.size()))];
  }

  /// Other tensors of x's shape; with `any_channels`, but for the channels.
  std::vector<T> MatesOf(T x, bool any_channels) const {
    std::vector<T> mates;
    const Shape& shape = net_.ShapeOf(x);
    for (T other : made_) {
      Shape same = net_.ShapeOf(other);
      if (other == x || same.rank() != shape.rank()) continue;
      if (any_channels) same.Set(same.rank() - 1, shape.Back(0));
      if (same == shape) mates.push_back(other);
    }
    return mates;
  }

  T GrowRows(T x) {
    switch (Below(4)) {
      case 0:
        return net_.Relu(x);
      case 1:
        return net_.Affine(x);
      default:
        return net_.Dense(x, 4 + Below(40));
    }
  }

  T GrowImage(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t channels = shape.Back(0);
    switch (Below(18)) {
      case 0:
        return channels >= 2 ? net_.Depthwise(x, 3) : net_.Relu(x);
      case 1:
        return shape[1] >= 4 && shape[2] >= 4 ? net_.Pool(x, 2 + Below(2), 2) : net_.Affine(x);
      case 2:
        return net_.Relu(x);
      case 3:
        return net_.Affine(x);
      case 4:
      case 5:
        return Join(x);
      case 6:
      case 7:
        return Concatenate(x);
      case 8:
        return Cut(x);
      case 9:
        return shape[1] <= 8 ? net_.Upsample(x, 2) : net_.Relu(x);
      case 10:
        return Below(2) == 0 ? net_.Reshape(x, {images_, shape[1], shape[2] * channels})
                             : net_.Reshape(x, {images_, shape[2], shape[1], channels});
      case 11:
        return Windowed(x);
      case 12:
        return shape[1] <= 12 ? net_.Transposed(x, 4 + Below(12), 2 + Below(3), 2) : net_.Relu(x);
      case 13:
      case 14:
      case 15:
        return Winograd(x);
      default:
        return net_.Conv(x, 4 + 4 * Below(8), 1 + 2 * Below(2), 1 + Below(2));
    }
  }

  /// Tiles of 2 or 4 rows, over inputs that fit them; now and then with a residual or other pads.
  T Winograd(T x) {
    if (net_.ShapeOf(x).Back(0) % graph::kWinogradInputChannels != 0) {
      x = net_.Conv(x, graph::kWinogradInputChannels * (1 + Below(3)), 1);
      made_.push_back(x);
    }
    const auto algorithm =
        Below(2) == 0 ? graph::ConvAlgorithm::kWinograd2 : graph::ConvAlgorithm::kWinograd4;
    const std::vector<T> equals = MatesOf(x, false);
    const Shape shape = net_.ShapeOf(x);
    if (!equals.empty() && Below(3) == 0) {
      return net_.Winograd(x, shape.Back(0), algorithm, AnyOf(equals));
    }
    const uint32_t channels = 4 + 4 * Below(20);
    if (shape[1] < 3 || shape[2] < 3 || Below(3) > 0) return net_.Winograd(x, channels, algorithm);
    graph::Window window{.kernel_h = 3, .kernel_w = 3};
    window.pad_top = Below(3);
    window.pad_bottom = Below(3);
    window.pad_left = Below(3);
    window.pad_right = Below(3);
    return net_.ConvOf(x, {window, 1, channels, algorithm});
  }

  /// A convolution with groups, dilation, strides and pads that are not alike.
  T Windowed(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t channels = shape.Back(0);
    graph::Conv conv;
    conv.groups = channels % 2 == 0 ? 2 : 1;
    conv.out_channels = 4 + 4 * Below(5);
    graph::Window& window = conv.window;
    window.kernel_h = 1 + Below(4);
    window.kernel_w = 1 + Below(4);
    window.dilation_h = 1 + Below(2);
    window.dilation_w = 1 + Below(2);
    window.stride_h = 1 + Below(3);
    window.stride_w = 1 + Below(3);
    window.pad_top = Below(window.kernel_h);
    window.pad_bottom = Below(window.kernel_h);
    window.pad_left = Below(window.kernel_w);
    window.pad_right = Below(window.kernel_w);
    const bool fits = shape[1] > (window.kernel_h - 1) * window.dilation_h &&
                      shape[2] > (window.kernel_w - 1) * window.dilation_w;
    return fits ? net_.ConvOf(x, conv) : net_.Relu(x);
  }

  T Join(T x) {
    const std::vector<T> equals = MatesOf(x, false);
    if (equals.empty()) return net_.ConvAdd(net_.Conv(x, 8, 3), net_.Conv(x, 12, 1), 12, 3);
    if (Below(2) == 0) return net_.Add(x, AnyOf(equals));
    return net_.ConvAdd(x, AnyOf(equals), net_.ShapeOf(x).Back(0), 3);
  }

  T Concatenate(T x) {
    const std::vector<T> mates = MatesOf(x, true);
    std::vector<T> parts{x, mates.empty() ? net_.Conv(x, 8, 1) : AnyOf(mates)};
    if (Below(2) == 0) std::swap(parts[0], parts[1]);
    if (Below(3) == 0) parts.push_back(net_.Conv(x, 4, 1));
    return net_.Concat(parts, 3);
  }

  T Cut(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t channels = shape.Back(0);
    if (Below(3) > 0 && channels >= 4) {
      const uint32_t begin = Below(channels / 2);
      return net_.Slice(x, 3, begin, 1 + Below(channels - begin));
    }
    if (shape[1] >= 4) return net_.Slice(x, 1, 1, shape[1] - 2);
    return net_.Concat({net_.Conv(x, channels, 1), net_.Relu(x)}, 1);
  }

  std::mt19937 random_;
  NetworkBuilder net_;
  uint32_t images_ = 1;
  std::vector<T> made_;
};

}  // namespace

graph::Graph MakeRandomNetwork(uint32_t seed) { return RandomNetwork(seed).Make(); }

}  // namespace coracle::plan

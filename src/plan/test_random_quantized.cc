// Random networks of float32 and uint8 tensors.
#include <algorithm>
#include <random>

#include "plan/test_networks.h"

namespace coracle::plan {
namespace {

using T = graph::TensorIndex;

class RandomQuantized {
 public:
  explicit RandomQuantized(uint32_t seed) : random_(seed) {}

  graph::Graph Make() {
    images_ = Below(5) == 0 ? 2 : 1;
    const uint32_t side = Below(3) == 0 ? 24 + Below(25) : 4 + Below(14);
    made_.push_back(net_.Input({images_, side, 4 + Below(14), 3 + Below(14)}));
    const uint32_t count = 5 + Below(25);
    for (uint32_t i = 0; i < count; ++i) {
      const auto recent = std::min<uint32_t>(3, static_cast<uint32_t>(made_.size()));
      const T x = made_[made_.size() - 1 - Below(recent)];
      made_.push_back(net_.IsQuantized(x) ? GrowBytes(x) : GrowFloats(x));
    }
    Answer(made_.back());
    if (Below(2) == 0) Answer(made_[made_.size() - 3]);
    return net_.Finish();
  }

 private:
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  /// What users read is float32, and no output is one twice.
  void Answer(T x) { net_.Output(net_.IsQuantized(x) ? net_.Dequantize(x) : net_.Relu(x)); }

  /// x itself, or another tensor of its type and shape; with `any_channels`, but for the channels.
  T MateOf(T x, bool any_channels) {
    std::vector<T> mates;
    const Shape& shape = net_.ShapeOf(x);
    for (const T other : made_) {
      Shape same = net_.ShapeOf(other);
      if (net_.IsQuantized(other) != net_.IsQuantized(x) || same.rank() != shape.rank()) continue;
      if (any_channels) same.Set(same.rank() - 1, shape.Back(0));
      if (same == shape) mates.push_back(other);
    }
    return mates[Below(static_cast<uint32_t>(mates.size()))];
  }

  T GrowFloats(T x) {
    switch (Below(10)) {
      case 0:
        return net_.Affine(x);
      case 1:
        return net_.Add(x, MateOf(x, false));
      case 2:
      case 3:
        return net_.Conv(x, 1 + Below(30), 1 + 2 * Below(2), 1 + Below(2));
      case 4:
      case 5:
      case 6:
        ranges_.push_back(net_.RangeOf(x));
        return net_.Quantize(x, ranges_.back());
      default:
        return net_.Quantize(x);
    }
  }

  T GrowBytes(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t channels = shape.Back(0);
    switch (Below(12)) {
      case 0:
        return shape[1] >= 4 && shape[2] >= 4 ? net_.Pool(x, 2 + Below(2), 2)
                                              : net_.Quantize(Up(x));
      case 1:
        return shape[1] <= 12 ? net_.Upsample(x, 2) : net_.Dequantize(x);
      case 2:
      case 3:
      case 4:
        return net_.QuantizedAdd(x, MateOf(x, false));
      case 5:
      case 6:
        return Concatenate(x);
      case 7:
        return Cut(x);
      case 8:
        return net_.Reshape(x, {images_, shape[2], shape[1], channels});
      case 9:
        return shape.Elements() < 100'000 ? Moved(x) : net_.Dequantize(x);
      default:
        return Up(x);
    }
  }

  T Up(T x) {
    if (ranges_.empty() || Below(2) == 0) return net_.Dequantize(x);
    return net_.Dequantize(x, ranges_[Below(static_cast<uint32_t>(ranges_.size()))]);
  }

  T Moved(T x) {
    if (Below(3) == 0) return net_.Transpose(x, {0, 2, 1, 3});
    if (Below(2) == 0) return net_.Transpose(x, {0, 1, 3, 2});
    return net_.Pad(x, Below(2) == 0 ? graph::PadMode::kConstant : graph::PadMode::kEdge,
                    1 + Below(2));
  }

  T Concatenate(T x) {
    const uint32_t axis = Below(3) == 0 ? 1 : 3;
    std::vector<T> parts{x, MateOf(x, axis == 3)};
    if (Below(2) == 0) std::swap(parts[0], parts[1]);
    if (Below(2) == 0) parts.push_back(net_.Quantize(net_.Dequantize(x)));
    return net_.Concat(parts, axis);
  }

  T Cut(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t channels = shape.Back(0);
    if (shape[1] >= 4 && Below(3) == 0) return net_.Slice(x, 1, 1, shape[1] - 2);
    const uint32_t begin = Below(channels);
    return net_.Slice(x, 3, begin, 1 + Below(channels - begin));
  }

  std::mt19937 random_;
  NetworkBuilder net_;
  uint32_t images_ = 1;
  std::vector<T> made_;
  std::vector<T> ranges_;
};

}  // namespace

graph::Graph MakeRandomQuantized(uint32_t seed) { return RandomQuantized(seed).Make(); }

}  // namespace coracle::plan

// Quantize, Dequantize, QuantizedAdd, RowExtremes and QuantizationRange: every kernel set against
// the formulas of op.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <span>

#include "base/index.h"
#include "graph/infer.h"
#include "kernels/kernel.h"

namespace coracle::kernels {
namespace {

using graph::OpKind;
using graph::Quantization;
using graph::QuantizationSource;

std::vector<const KernelSet*> AllSets() {
  std::vector<const KernelSet*> sets(AllSimdKernels().begin(), AllSimdKernels().end());
  sets.push_back(&ReferenceKernels());
  return sets;
}

/// One image, rows with gaps; what is no element keeps its value.
template <typename Element>
class Tensor {
 public:
  static constexpr Element kGap{77};

  Tensor(uint32_t rows, uint32_t pixels, uint32_t channels, ptrdiff_t pixel_gap, ptrdiff_t row_gap,
         uint32_t ring_rows = 0) {
    rows_ = {.pixel_stride = ptrdiff_t{channels} + pixel_gap,
             .ring_rows = ring_rows,
             .rows = rows,
             .pixels = pixels,
             .channels = channels,
             .element_bytes = sizeof(Element)};
    rows_.row_stride = rows_.pixel_stride * pixels + row_gap;
    const size_t stored = ring_rows == 0 ? rows : ring_rows;
    storage_.assign(
        static_cast<size_t>(rows_.row_stride) * stored - static_cast<size_t>(pixel_gap + row_gap),
        kGap);
    rows_.base = storage_.data();
  }
  const Rows& rows() const { return rows_; }
  Element& At(uint32_t y, uint32_t x, uint32_t c) { return rows_.Pixel<Element>(y, x)[c]; }
  bool GapsUntouched(RowRange kept) {
    std::vector<Element> left = storage_;
    for (uint32_t y = kept.begin; y < kept.end; ++y) {
      for (uint32_t x = 0; x < rows_.pixels; ++x) {
        const auto first = rows_.Pixel<Element>(y, x) - storage_.data();
        std::fill_n(left.begin() + first, rows_.channels, kGap);
      }
    }
    return std::all_of(left.begin(), left.end(), [](Element e) { return e == kGap; });
  }

 private:
  Rows rows_;
  std::vector<Element> storage_;
};

/// saturate(round_to_even(x / scale) + zero), in float64 where that is exact.
uint8_t Quantized(float x, const Quantization& q) {
  const float scaled = x / q.scale;
  if (std::isnan(scaled)) return q.zero;
  return static_cast<uint8_t>(std::clamp(std::nearbyint(double{scaled}) + q.zero, 0.0, 255.0));
}

float Dequantized(uint8_t q, const Quantization& from) {
  return from.scale * static_cast<float>(int{q} - int{from.zero});
}

class QuantizeTest : public testing::TestWithParam<const KernelSet*> {
 protected:
  uint32_t Draw(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random_);
  }
  float Uniform(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random_);
  }
  Quantization DrawQuantization() {
    return {Draw(0, 2) == 0 ? 1.0F : Uniform(0.001F, 0.1F), static_cast<uint8_t>(Draw(0, 255))};
  }
  float DrawFloat(float scale) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    switch (Draw(0, 19)) {
      case 0:
        return std::numeric_limits<float>::quiet_NaN();
      case 1:
        return Draw(0, 1) == 0 ? kInfinity : -kInfinity;
      case 2:
        return Uniform(-3e38F, 3e38F);
      case 3:  // ties
        return scale * (static_cast<float>(Draw(0, 512)) - 255.5F);
      default:
        return Uniform(-300, 300) * scale;
    }
  }
  void Run(const graph::Node& node, std::span<const Rows> inputs, const Rows& output,
           RowRange rows) {
    const Image image{inputs, output};
    const graph::Graph graph;
    RowArgs args;
    args.graph = &graph;
    args.node = &node;
    args.images = std::span(&image, 1);
    GetParam()->rows[Position(node.kind())](args, rows);
  }
  /// An image of some size, and rows of it.
  void DrawExtent() {
    rows_ = Draw(1, 5);
    pixels_ = Draw(1, 9);
    channels_ = Draw(0, 3) == 0 ? Draw(200, 700) : Draw(1, 70);
    begin_ = Draw(0, rows_ - 1);
    end_ = Draw(begin_ + 1, rows_);
  }
  template <typename Element>
  Tensor<Element> Make() {
    const bool gaps = Draw(0, 1) == 0;
    return {rows_,
            pixels_,
            channels_,
            gaps ? Draw(0, 5) : 0,
            gaps ? Draw(0, 9) : 0,
            Draw(0, 1) == 0 ? 0 : rows_};
  }
  void ForEach(const auto& element) {
    for (uint32_t y = begin_; y < end_; ++y) {
      for (uint32_t x = 0; x < pixels_; ++x) {
        for (uint32_t c = 0; c < channels_; ++c) element(y, x, c);
      }
    }
  }

  std::mt19937 random_{7};
  uint32_t rows_ = 0, pixels_ = 0, channels_ = 0, begin_ = 0, end_ = 0;
};

TEST_P(QuantizeTest, QuantizeRoundsToEvenAndSaturates) {
  for (int i = 0; i < 60; ++i) {
    DrawExtent();
    auto in = Make<float>();
    auto out = Make<uint8_t>();
    const Quantization q = DrawQuantization();
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) { in.At(y, x, c) = DrawFloat(q.scale); });
    const bool by_tensor = Draw(0, 1) == 0;
    graph::Node node;
    node.attrs = by_tensor ? graph::Quantize{{}, QuantizationSource::kTensor} : graph::Quantize{q};
    float range[2] = {q.scale, static_cast<float>(q.zero)};
    const std::array<Rows, 2> operands{in.rows(), Rows{.base = range}};
    Run(node, std::span(operands).first(by_tensor ? 2 : 1), out.rows(), {begin_, end_});
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      ASSERT_EQ(out.At(y, x, c), Quantized(in.At(y, x, c), q)) << in.At(y, x, c) / q.scale;
    });
    EXPECT_TRUE(out.GapsUntouched({begin_, end_}));
  }
}

TEST_P(QuantizeTest, DequantizeIsExact) {
  for (int i = 0; i < 60; ++i) {
    DrawExtent();
    auto in = Make<uint8_t>();
    auto out = Make<float>();
    const Quantization q = DrawQuantization();
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      in.At(y, x, c) = static_cast<uint8_t>(Draw(0, 255));
    });
    const bool by_tensor = Draw(0, 1) == 0;
    graph::Node node;
    node.attrs =
        by_tensor ? graph::Dequantize{{}, QuantizationSource::kTensor} : graph::Dequantize{q};
    float range[2] = {q.scale, static_cast<float>(q.zero)};
    const std::array<Rows, 2> operands{in.rows(), Rows{.base = range}};
    Run(node, std::span(operands).first(by_tensor ? 2 : 1), out.rows(), {begin_, end_});
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      ASSERT_EQ(out.At(y, x, c), Dequantized(in.At(y, x, c), q));
    });
    EXPECT_TRUE(out.GapsUntouched({begin_, end_}));
  }
}

TEST_P(QuantizeTest, QuantizedAddRoundsEachOperand) {
  for (int i = 0; i < 60; ++i) {
    DrawExtent();
    auto a = Make<uint8_t>();
    auto b = Make<uint8_t>();
    auto out = Make<uint8_t>();
    const graph::QuantizedAdd add{DrawQuantization(), DrawQuantization(), DrawQuantization()};
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      a.At(y, x, c) = static_cast<uint8_t>(Draw(0, 255));
      b.At(y, x, c) = static_cast<uint8_t>(Draw(0, 255));
    });
    graph::Node node;
    node.attrs = add;
    const bool relu = Draw(0, 1) == 0;
    if (relu) node.activation.kind = graph::ActivationKind::kRelu;
    const std::array<Rows, 2> operands{a.rows(), b.rows()};
    Run(node, operands, out.rows(), {begin_, end_});
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      const float sum = Dequantized(a.At(y, x, c), add.a) + Dequantized(b.At(y, x, c), add.b);
      ASSERT_EQ(out.At(y, x, c), Quantized(relu ? std::max(sum, 0.0F) : sum, add.out));
    });
    EXPECT_TRUE(out.GapsUntouched({begin_, end_}));
  }
}

TEST_P(QuantizeTest, ExtremesAndRangeAreThoseOfDynamicQuantizeLinear) {
  for (int i = 0; i < 60; ++i) {
    DrawExtent();
    auto in = Make<float>();
    begin_ = 0;
    end_ = rows_;
    const float low = Uniform(-5, 2);
    const float high = i % 7 == 0 ? low : low + Uniform(0, 5);
    float least = 0;
    float largest = 0;
    ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
      float& value = in.At(y, x, c);
      value = i % 11 == 0 ? 0 : Uniform(low, high);
      least = std::min(least, value);
      largest = std::max(largest, value);
      if (i % 3 == 0 && Draw(0, 9) == 0) value = std::numeric_limits<float>::quiet_NaN();
    });
    if (i % 3 == 0) {  // NaNs count for nothing
      least = largest = 0;
      ForEach([&](uint32_t y, uint32_t x, uint32_t c) {
        if (std::isnan(in.At(y, x, c))) return;
        least = std::min(least, in.At(y, x, c));
        largest = std::max(largest, in.At(y, x, c));
      });
    }
    Tensor<float> extremes(rows_, 1, 2, 0, 1);
    graph::Node node;
    node.attrs = graph::RowExtremes{};
    const Rows rows = in.rows();
    for (uint32_t y = 0; y < rows_; ++y)
      Run(node, std::span(&rows, 1), extremes.rows(), {y, y + 1});
    Tensor<float> range(1, 1, 2, 0, 0);
    node.attrs = graph::QuantizationRange{};
    Run(node, std::span(&extremes.rows(), 1), range.rows(), {0, 1});
    const float scale = largest == least ? 1 : (largest - least) / 255;
    EXPECT_EQ(range.At(0, 0, 0), scale);
    EXPECT_EQ(range.At(0, 0, 1), static_cast<float>(Quantized(-least / scale, {1, 0})));
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, QuantizeTest, testing::ValuesIn(AllSets()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace coracle::kernels

#include "kernels/reference/quantize.h"

#include <algorithm>
#include <limits>

#include "kernels/quantized.h"
#include "kernels/reference/activation.h"
#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

/// Calls `element(image, y, x, channel)` for every output element.
void ForEach(const RowArgs& args, RowRange rows, const auto& element) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        for (uint32_t c = 0; c < image.output.channels; ++c) element(image, y, x, c);
      }
    }
  }
}

/// Least and largest of a few values; NaNs count for nothing.
struct Extremes {
  float least = std::numeric_limits<float>::infinity();
  float largest = -std::numeric_limits<float>::infinity();

  void Add(float low, float high) {
    least = low < least ? low : least;
    largest = high > largest ? high : largest;
  }
};

}  // namespace

void Quantize(const RowArgs& args, RowRange rows) {
  const auto& attrs = std::get<graph::Quantize>(args.node->attrs);
  ForEach(args, rows, [&](const Image& image, uint32_t y, uint32_t x, uint32_t c) {
    image.output.Pixel<uint8_t>(y, x)[c] = QuantizeValue(
        image.inputs[0].Pixel(y, x)[c], QuantizationOf(attrs.out, attrs.source, image));
  });
}

void Dequantize(const RowArgs& args, RowRange rows) {
  const auto& attrs = std::get<graph::Dequantize>(args.node->attrs);
  ForEach(args, rows, [&](const Image& image, uint32_t y, uint32_t x, uint32_t c) {
    image.output.Pixel(y, x)[c] = DequantizeValue(image.inputs[0].Pixel<uint8_t>(y, x)[c],
                                                  QuantizationOf(attrs.in, attrs.source, image));
  });
}

void QuantizedAdd(const RowArgs& args, RowRange rows) {
  const auto& attrs = std::get<graph::QuantizedAdd>(args.node->attrs);
  ForEach(args, rows, [&](const Image& image, uint32_t y, uint32_t x, uint32_t c) {
    const float a = DequantizeValue(image.inputs[0].Pixel<uint8_t>(y, x)[c], attrs.a);
    const float b = DequantizeValue(image.inputs[1].Pixel<uint8_t>(y, x)[c], attrs.b);
    image.output.Pixel<uint8_t>(y, x)[c] =
        QuantizeValue(Activate(args.node->activation, a + b), attrs.out);
  });
}

void RowExtremes(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      Extremes extremes;
      for (uint32_t x = 0; x < in.pixels; ++x) {
        for (uint32_t c = 0; c < in.channels; ++c) {
          extremes.Add(in.Pixel(y, x)[c], in.Pixel(y, x)[c]);
        }
      }
      image.output.Row(y)[0] = extremes.least;
      image.output.Row(y)[1] = extremes.largest;
    }
  }
}

void QuantizationRange(const RowArgs& args, RowRange rows) {
  if (rows.count() == 0) return;
  for (const Image& image : args.images) {
    Extremes range{0, 0};
    const Rows& in = image.inputs[0];
    for (uint32_t y = 0; y < in.rows; ++y) range.Add(in.Row(y)[0], in.Row(y)[1]);
    float scale = (range.largest - range.least) / 255;
    if (scale == 0) scale = 1;
    image.output.Row(0)[0] = scale;
    image.output.Row(0)[1] = QuantizeValue(0 - range.least / scale, {});
  }
}

}  // namespace coracle::kernels::reference

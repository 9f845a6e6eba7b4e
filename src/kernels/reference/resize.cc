#include "kernels/resize_axis.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {

void Resize(const RowArgs& args, RowRange rows) {
  const auto& resize = std::get<graph::Resize>(args.node->attrs);
  const bool linear = resize.mode == graph::ResizeMode::kLinear;
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const Rows& out = image.output;
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      const ResizeTap v = TapOf(resize, resize.scale_h, in.rows, out.rows, y);
      for (uint32_t x = 0; x < out.pixels; ++x) {
        const ResizeTap h = TapOf(resize, resize.scale_w, in.pixels, out.pixels, x);
        if (out.element_bytes == 1) {  // nearest only
          std::copy_n(in.Pixel<uint8_t>(v.low, h.low), out.channels, out.Pixel<uint8_t>(y, x));
          continue;
        }
        for (uint32_t c = 0; c < out.channels; ++c) {
          const float top = in.Pixel(v.low, h.low)[c];
          float result = top;
          if (linear) {
            result = top * (v.low_weight * h.low_weight);
            result = std::fma(in.Pixel(v.low, h.high)[c], v.low_weight * h.high_weight, result);
            result = std::fma(in.Pixel(v.high, h.low)[c], v.high_weight * h.low_weight, result);
            result = std::fma(in.Pixel(v.high, h.high)[c], v.high_weight * h.high_weight, result);
          }
          out.Pixel(y, x)[c] = result;
        }
      }
    }
  }
}

}  // namespace coracle::kernels::reference

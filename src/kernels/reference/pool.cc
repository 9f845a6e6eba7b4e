#include <algorithm>
#include <limits>

#include "kernels/reference/reference.h"
#include "kernels/window_axis.h"

namespace coracle::kernels::reference {
namespace {

using graph::Pool;

/// What an average divides by: the taps inside of the image, or of image and pads.
uint32_t Divisor(const Pool& pool, const Rows& in, uint32_t y, uint32_t x) {
  const bool pads = pool.counting == graph::PadCounting::kIncludePad;
  const graph::Window& w = pool.window;
  const WindowAxis vertical = VerticalAxis(w);
  const WindowAxis horizontal = HorizontalAxis(w);
  uint32_t count = 0;
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const int64_t iy = vertical.Input(y, ky);
      const int64_t ix = horizontal.Input(x, kx);
      const int64_t top = pads ? -int64_t{w.pad_top} : 0;
      const int64_t left = pads ? -int64_t{w.pad_left} : 0;
      const int64_t bottom = in.rows + (pads ? w.pad_bottom : 0);
      const int64_t right = in.pixels + (pads ? w.pad_right : 0);
      if (iy >= top && iy < bottom && ix >= left && ix < right) ++count;
    }
  }
  return std::max(count, 1U);
}

/// Calls visit(row, pixel) for the taps inside of the image.
template <typename Visit>
void ForEachTap(const Pool& pool, const Rows& in, uint32_t y, uint32_t x, Visit visit) {
  for (uint32_t ky = 0; ky < pool.window.kernel_h; ++ky) {
    for (uint32_t kx = 0; kx < pool.window.kernel_w; ++kx) {
      const int64_t iy = VerticalAxis(pool.window).Input(y, ky);
      const int64_t ix = HorizontalAxis(pool.window).Input(x, kx);
      if (iy < 0 || iy >= in.rows || ix < 0 || ix >= in.pixels) continue;
      visit(static_cast<uint32_t>(iy), static_cast<uint32_t>(ix));
    }
  }
}

float PoolElement(const Pool& pool, const Rows& in, uint32_t y, uint32_t x, uint32_t channel) {
  const bool max = pool.kind == graph::PoolKind::kMax;
  float result = max ? -std::numeric_limits<float>::infinity() : 0;
  ForEachTap(pool, in, y, x, [&](uint32_t row, uint32_t pixel) {
    const float value = in.Pixel(row, pixel)[channel];
    result = max ? std::max(result, value) : result + value;
  });
  return max ? result : result / static_cast<float>(Divisor(pool, in, y, x));
}

/// 0, the least value, where no tap lies inside of the image.
uint8_t MaxByte(const Pool& pool, const Rows& in, uint32_t y, uint32_t x, uint32_t channel) {
  uint8_t result = 0;
  ForEachTap(pool, in, y, x, [&](uint32_t row, uint32_t pixel) {
    result = std::max(result, in.Pixel<uint8_t>(row, pixel)[channel]);
  });
  return result;
}

}  // namespace

void Pool(const RowArgs& args, RowRange rows) {
  const auto& pool = std::get<graph::Pool>(args.node->attrs);
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        for (uint32_t c = 0; c < image.output.channels; ++c) {
          const Rows& in = image.inputs[0];
          if (in.element_bytes == 1) {
            image.output.Pixel<uint8_t>(y, x)[c] = MaxByte(pool, in, y, x, c);
          } else {
            image.output.Pixel(y, x)[c] = PoolElement(pool, in, y, x, c);
          }
        }
      }
    }
  }
}

}  // namespace coracle::kernels::reference

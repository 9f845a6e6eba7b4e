#include <algorithm>
#include <cmath>

#include "kernels/packing.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/store.h"
#include "kernels/window_axis.h"

namespace coracle::kernels::reference {
namespace {

float InputAt(const Rows& in, int64_t y, int64_t x, uint32_t channel) {
  if (y < 0 || y >= in.rows || x < 0 || x >= in.pixels) return 0;
  return in.Pixel(static_cast<uint32_t>(y), static_cast<uint32_t>(x))[channel];
}

void ComputePixel(const PanelArgs& args, const Image& image, uint32_t y, uint32_t x) {
  const graph::Window& window = std::get<graph::Conv>(args.node->attrs).window;
  const WindowAxis vertical = VerticalAxis(window);
  const WindowAxis horizontal = HorizontalAxis(window);
  const uint32_t first = args.chunk->panel_begin * kPanelGranule;
  const uint32_t columns = args.chunk->panel_count * kPanelGranule;
  const uint32_t count = std::min(columns, image.output.channels - first);
  for (uint32_t n = 0; n < count; ++n) {
    const float* weight = reinterpret_cast<const float*>(args.weights) + n;
    float sum = *weight;
    for (uint32_t ky = 0; ky < window.kernel_h; ++ky) {
      for (uint32_t kx = 0; kx < window.kernel_w; ++kx) {
        weight += columns;
        const float value =
            InputAt(image.inputs[0], vertical.Input(y, ky), horizontal.Input(x, kx), first + n);
        sum = std::fma(value, *weight, sum);
      }
    }
    image.output.Pixel(y, x)[first + n] = Finish(*args.node, image, y, x, first + n, sum);
  }
}

}  // namespace

void Depthwise(const PanelArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) ComputePixel(args, image, y, x);
    }
  }
}

}  // namespace coracle::kernels::reference

#include "kernels/max_pool_bytes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/window_axis.h"

namespace coracle::kernels {
namespace {

/// Channels that are compared at once, without a branch on their values: a vector of GCC's and
/// Clang's, which every x86-64 has.
using Vector [[gnu::vector_size(16)]] = uint8_t;
constexpr size_t kVector = sizeof(Vector);
constexpr size_t kVectors = 4;

/// The taps of one output pixel that lie inside of the image.
struct Taps {
  const Rows& in;
  uint32_t first_row = 0, row_step = 1, rows = 0;
  uint32_t first_pixel = 0, columns = 0;
  ptrdiff_t column_step = 0;  ///< bytes
};

/// Channels [c, c + kCount vectors); or, of one vector, the first `bytes` of them.
template <size_t kCount>
void MaxRun(const Taps& taps, size_t c, size_t bytes, uint8_t* out) {
  std::array<Vector, kCount> most{};
  std::array<Vector, kCount> values{};
  const bool whole = kCount > 1 || bytes == kVector;
  for (uint32_t ky = 0; ky < taps.rows; ++ky) {
    const uint8_t* p =
        taps.in.Pixel<uint8_t>(taps.first_row + ky * taps.row_step, taps.first_pixel) + c;
    for (uint32_t kx = 0; kx < taps.columns; ++kx, p += taps.column_step) {
      std::memcpy(values.data(), p, whole ? sizeof(values) : bytes);
      for (size_t i = 0; i < kCount; ++i) most[i] = values[i] > most[i] ? values[i] : most[i];
    }
  }
  std::memcpy(out + c, most.data(), whole ? sizeof(most) : bytes);
}

void MaxPixel(const Taps& taps, uint8_t* out, size_t channels) {
  constexpr size_t kBytes = kVectors * kVector;
  size_t c = 0;
  for (; c + kBytes <= channels; c += kBytes) MaxRun<kVectors>(taps, c, kBytes, out);
  for (; c < channels; c += kVector) {
    MaxRun<1>(taps, c, std::min(kVector, channels - c), out);
  }
}

}  // namespace

void MaxPoolBytes(const graph::Window& window, const Image& image, RowRange rows) {
  const Rows& in = image.inputs[0];
  const Rows& out = image.output;
  const WindowAxis vertical = VerticalAxis(window);
  const WindowAxis horizontal = HorizontalAxis(window);
  Taps taps{.in = in};
  taps.row_step = vertical.dilation;
  taps.column_step = in.pixel_stride * horizontal.dilation;
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    const RowRange ky = vertical.Taps(y, 0, in.rows);
    taps.first_row = static_cast<uint32_t>(vertical.Input(y, ky.begin));
    for (uint32_t x = 0; x < out.pixels; ++x) {
      const RowRange kx = horizontal.Taps(x, 0, in.pixels);
      taps.first_pixel = static_cast<uint32_t>(horizontal.Input(x, kx.begin));
      taps.columns = kx.count();
      taps.rows = kx.count() == 0 ? 0 : ky.count();
      MaxPixel(taps, out.Pixel<uint8_t>(y, x), out.channels);
    }
  }
}

}  // namespace coracle::kernels

#include "kernels/simd/depthwise_tiles.h"

#include <algorithm>

namespace coracle::kernels {
namespace {

/// What taps outside of the image read.
alignas(64) constexpr float kZeroPixel[kDepthwiseChannelsMax] = {};

constexpr uint64_t kStripBytes = 32 * 1024;

}  // namespace

DepthwiseTiles::DepthwiseTiles(const DepthwiseRequest& request) : request_(request) {
  const graph::Window& w = request.window;
  const uint64_t column_bytes =
      uint64_t{w.kernel_h} * w.stride_w * request.channel_count * sizeof(float);
  const uint32_t pixels = request.images[0].output.pixels;
  const uint64_t fit = kStripBytes / std::max<uint64_t>(1, column_bytes) / 4 * 4;
  strip_pixels_ = static_cast<uint32_t>(std::clamp<uint64_t>(fit, 8, std::max(8U, pixels)));
  strip_end_ = std::min(strip_pixels_, pixels);
  y_ = request.rows.begin;
}

/// Moves to the next place where a tile can begin.
bool DepthwiseTiles::Advance() {
  if (request_.rows.count() == 0) return false;
  const uint32_t pixels = request_.images[0].output.pixels;
  while (x_ == strip_end_) {
    if (++y_ == request_.rows.end) {
      y_ = request_.rows.begin;
      strip_begin_ = strip_end_;
      if (strip_begin_ == pixels) {
        strip_begin_ = 0;
        if (++image_ == request_.images.size()) return false;
      }
      strip_end_ = std::min(strip_begin_ + strip_pixels_, pixels);
    }
    x_ = strip_begin_;
  }
  return true;
}

bool DepthwiseTiles::Next(DepthwiseTile& tile) {
  if (!Advance()) return false;
  // Near-equal tiles: 7 pixels are 4 + 3.
  const uint32_t left = strip_end_ - x_;
  const uint32_t tiles = (left + request_.pixels_max - 1) / request_.pixels_max;
  tile.pixels = (left + tiles - 1) / tiles;
  const Image& image = request_.images[image_];
  for (uint32_t i = 0; i < tile.pixels; ++i) {
    tile.outputs[i] = image.output.Pixel(y_, x_ + i);
    tile.residuals[i] = request_.has_residual ? image.inputs.back().Pixel(y_, x_ + i) : nullptr;
  }
  x_ += tile.pixels;
  if (request_.table == DepthwiseTable::kColumns) {
    FillColumns(tile);
  } else {
    RefillTaps(request_.tap_begin, request_.tap_end, tile);
  }
  return true;
}

const float* DepthwiseTiles::TapRow(uint32_t ky) const {
  const graph::Window& w = request_.window;
  const Rows& in = request_.images[image_].inputs[0];
  const int64_t y = int64_t{y_} * w.stride_h + int64_t{ky} * w.dilation_h - w.pad_top;
  if (y < 0 || y >= int64_t{in.rows}) return nullptr;
  return in.Row(static_cast<uint32_t>(y)) + request_.channel_begin;
}

const float* DepthwiseTiles::TapPixel(const float* row, int64_t x) const {
  const Rows& in = request_.images[image_].inputs[0];
  if (row == nullptr || x < 0 || x >= int64_t{in.pixels}) return kZeroPixel;
  return row + x * in.pixel_stride;
}

void DepthwiseTiles::FillColumns(DepthwiseTile& tile) const {
  const graph::Window& w = request_.window;
  const uint32_t columns = (tile.pixels - 1) * w.stride_w + w.kernel_w;
  const int64_t first = int64_t{x_ - tile.pixels} * w.stride_w - w.pad_left;
  const float** out = tile.table.data();
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    const float* row = TapRow(ky);
    for (uint32_t c = 0; c < columns; ++c) *out++ = TapPixel(row, first + c);
  }
}

void DepthwiseTiles::RefillTaps(uint32_t tap_begin, uint32_t tap_end, DepthwiseTile& tile) const {
  const graph::Window& w = request_.window;
  const int64_t x = x_ - tile.pixels;
  const float** out = tile.table.data();
  for (uint32_t tap = tap_begin; tap < tap_end; ++tap) {
    const float* row = TapRow(tap / w.kernel_w);
    const int64_t offset = int64_t{tap % w.kernel_w} * w.dilation_w - w.pad_left;
    for (uint32_t i = 0; i < tile.pixels; ++i) {
      *out++ = TapPixel(row, (x + i) * w.stride_w + offset);
    }
  }
}

}  // namespace coracle::kernels

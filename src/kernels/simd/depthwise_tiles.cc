#include "kernels/simd/depthwise_tiles.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::kernels {
namespace {

/// What taps outside of the image read.
alignas(64) constexpr float kZeroPixel[kDepthwiseChannelsMax] = {};

/// Columns that `pixels` neighbouring output pixels read.
uint32_t ColumnsOf(const graph::Window& w, uint32_t pixels) {
  return (pixels - 1) * w.stride_w + w.kernel_w;
}

/// Input rows that `rows` neighbouring output rows read (dilation 1), or one of any dilation.
uint32_t InputRowsOf(const graph::Window& w, uint32_t rows) {
  return (rows - 1) * w.stride_h + w.kernel_h;
}

/// Pointers of a tile's table.
uint32_t TablePointers(const DepthwiseRequest& request, uint32_t pixels, uint32_t rows) {
  if (request.table == DepthwiseTable::kTaps) return request.tap_end * pixels;
  return InputRowsOf(request.window, rows) * ColumnsOf(request.window, pixels);
}

}  // namespace

DepthwiseTiles::DepthwiseTiles(const DepthwiseRequest& request)
    : request_(request), y_(request.rows.begin) {}

std::span<const DepthwiseTile> DepthwiseTiles::Next() {
  tiles_used_ = 0;
  table_used_ = 0;
  const uint32_t row_pixels = request_.images[0].output.pixels;
  if (x_ == row_pixels) {
    x_ = 0;
    y_ += strip_rows_;
    if (y_ == request_.rows.end) {
      y_ = request_.rows.begin;
      ++image_;
    }
  }
  if (image_ == request_.images.size() || request_.rows.count() == 0) return {};
  if (x_ == 0) strip_rows_ = std::min(request_.rows_max, request_.rows.end - y_);
  while (x_ < row_pixels && tiles_used_ < kStripTiles) {
    // Near-equal tiles: 7 pixels are 4 + 3.
    const uint32_t left = row_pixels - x_;
    const uint32_t tiles = (left + request_.pixels_max - 1) / request_.pixels_max;
    const uint32_t pixels = (left + tiles - 1) / tiles;
    const bool fits = table_used_ + TablePointers(request_, pixels, strip_rows_) <= kStripPointers;
    if (tiles_used_ > 0 && !fits) break;
    CORACLE_CHECK(fits);
    AddTile(pixels);
  }
  return {tiles_.data(), tiles_used_};
}

void DepthwiseTiles::AddTile(uint32_t pixels) {
  DepthwiseTile& tile = tiles_[tiles_used_];
  const size_t first = size_t{tiles_used_} * kDepthwiseSumsMax;
  tile = {.table = &table_[table_used_],
          .outputs = &outputs_[first],
          .residuals = request_.has_residual ? &residuals_[first] : nullptr,
          .x = x_,
          .pixels = pixels,
          .rows = strip_rows_};
  const Image& image = request_.images[image_];
  for (uint32_t row = 0; row < tile.rows; ++row) {
    float** const outputs = &outputs_[first + size_t{row} * pixels];
    float* output = image.output.Pixel(y_ + row, x_);
    for (uint32_t i = 0; i < pixels; ++i, output += image.output.pixel_stride) outputs[i] = output;
    if (!request_.has_residual) continue;
    const Rows& residual = image.inputs.back();
    for (uint32_t i = 0; i < pixels; ++i) {
      residuals_[first + size_t{row} * pixels + i] = residual.Pixel(y_ + row, x_ + i);
    }
  }
  if (request_.table == DepthwiseTable::kColumns) {
    FillColumns(tile, &table_[table_used_]);
  } else {
    FillTaps(tile, 0, request_.tap_end, &table_[table_used_]);
  }
  table_used_ += TablePointers(request_, pixels, strip_rows_);
  ++tiles_used_;
  x_ += pixels;
}

void DepthwiseTiles::RefillTaps(uint32_t tap_begin, uint32_t tap_end, const DepthwiseTile& tile) {
  FillTaps(tile, tap_begin, tap_end, &table_[static_cast<size_t>(tile.table - table_.data())]);
}

/// Null outside of the image.
const float* DepthwiseTiles::InputRow(int64_t y) const {
  const Rows& in = request_.images[image_].inputs[0];
  if (y < 0 || y >= int64_t{in.rows}) return nullptr;
  return in.Row(static_cast<uint32_t>(y)) + request_.channel_begin;
}

void DepthwiseTiles::FillColumns(const DepthwiseTile& tile, const float** out) const {
  const graph::Window& w = request_.window;
  const Rows& in = request_.images[image_].inputs[0];
  const int64_t columns = ColumnsOf(w, tile.pixels);
  const int64_t first = int64_t{tile.x} * w.stride_w - w.pad_left;
  // Columns [begin, end) are inside of the image.
  const int64_t begin = std::clamp<int64_t>(-first, 0, columns);
  const int64_t end = std::clamp<int64_t>(int64_t{in.pixels} - first, begin, columns);
  for (uint32_t row = 0; row < InputRowsOf(w, tile.rows); ++row, out += columns) {
    const float* input =
        InputRow(int64_t{y_} * w.stride_h + int64_t{row} * w.dilation_h - w.pad_top);
    if (input == nullptr) {
      std::fill_n(out, columns, kZeroPixel);
      continue;
    }
    for (int64_t c = 0; c < begin; ++c) out[c] = kZeroPixel;
    input += (first + begin) * in.pixel_stride;
    for (int64_t c = begin; c < end; ++c, input += in.pixel_stride) out[c] = input;
    for (int64_t c = end; c < columns; ++c) out[c] = kZeroPixel;
  }
}

void DepthwiseTiles::FillTaps(const DepthwiseTile& tile, uint32_t tap_begin, uint32_t tap_end,
                              const float** out) const {
  const graph::Window& w = request_.window;
  const Rows& in = request_.images[image_].inputs[0];
  for (uint32_t tap = tap_begin; tap < tap_end; ++tap) {
    const float* row =
        InputRow(int64_t{y_} * w.stride_h + int64_t{tap / w.kernel_w} * w.dilation_h - w.pad_top);
    const int64_t offset = int64_t{tap % w.kernel_w} * w.dilation_w - w.pad_left;
    for (uint32_t i = 0; i < tile.pixels; ++i) {
      const int64_t x = (int64_t{tile.x} + i) * w.stride_w + offset;
      const bool inside = row != nullptr && x >= 0 && x < int64_t{in.pixels};
      *out++ = inside ? row + x * in.pixel_stride : kZeroPixel;
    }
  }
}

}  // namespace coracle::kernels

#include "kernels/simd/panels_tiles.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::kernels {
namespace {

/// What taps outside of the image read.
alignas(64) constexpr float kZeroPixel[kZeroPixelFloats] = {};

bool AllInside(const PartAxis& axis, RowRange positions, uint32_t extent) {
  const RowRange inside = axis.Inside(positions.end, extent);
  return inside.begin <= positions.begin && inside.end >= positions.end;
}

}  // namespace

TileBlocks::TileBlocks(const TileRequest& request) : request_(request) {
  const Rows& in = request.images[0].inputs[0];
  const Rows& out = request.images[0].output;
  const PanelPart& part = request.part;
  row_positions_ = part.y.Positions(request.rows.begin, request.rows.end);
  row_pixels_ = part.x.Positions(0, out.pixels).end;
  inside_x_ = part.x.Inside(row_pixels_, in.pixels);
  const bool rows_inside = AllInside(part.y, row_positions_, in.rows);
  const bool all_inside = rows_inside && inside_x_.count() == row_pixels_;

  const uint32_t run = part.x.taps * part.inputs;
  contiguous_ = request.kind == SegmentKind::kRuns && part.x.tap_step == 1 &&
                in.pixel_stride == static_cast<ptrdiff_t>(part.inputs);
  patches_ = request.kind == SegmentKind::kRuns && part.inputs < kPatchInputsMax &&
             part.y.taps * part.x.taps > 1 && (contiguous_ || part.inputs < 4);
  use_runs_ =
      patches_ || (contiguous_ && part.x.taps > 1 && (rows_inside || run <= kZeroPixelFloats));
  uint32_t k_end = request.k_end;
  if (patches_) k_end = std::min(k_end, request.k_begin + kPatchFloatsMax);
  taps_.Build(part, patches_ ? SegmentKind::kRuns : SegmentKind::kTaps,
              all_inside ? UINT32_MAX : kZeroPixelFloats, in.pixel_stride, request.k_begin, k_end);
  if (use_runs_ && !patches_) {
    runs_.Build(part, SegmentKind::kRuns, UINT32_MAX, in.pixel_stride, request.k_begin,
                taps_.k_end);
  }
  const uint32_t most = std::max(1U, kTablePointers / std::max(1U, taps_.count));
  const uint32_t tile_pixels = std::min(request.tile_pixels, most);
  const uint64_t pixels = uint64_t{row_pixels_} * row_positions_.count() * request.images.size();
  tiles_left_ = (pixels + tile_pixels - 1) / tile_pixels;
  if (tiles_left_ == 0) return;
  small_tile_ = static_cast<uint32_t>(pixels / tiles_left_);
  large_tiles_left_ = pixels % tiles_left_;
  row_ = row_positions_.begin;
  EnterRow();
}

/// Looks up where the input rows of the current row of positions are.
void TileBlocks::EnterRow() {
  const Image& image = request_.images[image_];
  input_ = &image.inputs[0];
  const PartAxis& y = request_.part.y;
  const uint32_t out_y = y.out_first + row_ * y.out_step;
  output_row_ = image.output.Row(out_y);
  if (request_.has_residual) residual_row_ = image.inputs.back().Row(out_y);
  const int64_t in_y = int64_t{row_} * y.in_step;
  const auto find = [&](const SegmentList& list, const float** rows) {
    for (uint32_t s = 0; s < list.count; ++s) {
      const int64_t tap_y = in_y + y.Tap(list.segments[s].tap_y);
      const bool inside = tap_y >= 0 && tap_y < int64_t{input_->rows};
      rows[s] = inside ? input_->Row(static_cast<uint32_t>(tap_y)) : nullptr;
    }
  };
  find(taps_, tap_rows_.data());
  if (use_runs_ && !patches_) find(runs_, run_rows_.data());
}

std::span<const Tile> TileBlocks::Next() {
  pixels_used_ = table_used_ = tiles_used_ = 0;
  patch_used_ = 0;
  const size_t patch_floats = request_.workspace.size() / sizeof(float);
  while (tiles_left_ > 0) {
    const uint32_t pixels = small_tile_ + (large_tiles_left_ > 0 ? 1 : 0);
    const uint32_t pointers = pixels * taps_.count;
    const size_t patch = patches_ ? size_t{pixels} * (taps_.k_end - request_.k_begin) : 0;
    const bool fits = pixels_used_ + pixels <= kBlockPixels &&
                      table_used_ + pointers <= kTablePointers &&
                      patch_used_ + patch <= patch_floats;
    if (tiles_used_ > 0 && (!fits || pixels_used_ + pixels > request_.block_pixels)) break;
    CORACLE_CHECK(fits);
    if (large_tiles_left_ > 0) --large_tiles_left_;
    --tiles_left_;
    AddTile(pixels);
  }
  return {tiles_.data(), tiles_used_};
}

/// True if no tap of the next `pixels` pixels is left or right of the image.
bool TileBlocks::TileInside(uint32_t pixels) const {
  if (x_ + pixels <= row_pixels_) return x_ >= inside_x_.begin && x_ + pixels <= inside_x_.end;
  return inside_x_.count() == row_pixels_;
}

void TileBlocks::AddTile(uint32_t pixels) {
  const bool runs = use_runs_ && !patches_ && TileInside(pixels);
  const SegmentList& list = runs ? runs_ : taps_;
  tiles_[tiles_used_++] = {.table = &table_[table_used_],
                           .segments = &list,
                           .outputs = &outputs_[pixels_used_],
                           .residuals = request_.has_residual ? &residuals_[pixels_used_] : nullptr,
                           .pixels = pixels};
  const bool in_place = contiguous_ || !patches_;
  if (in_place && x_ >= inside_x_.begin && x_ + pixels <= inside_x_.end) {
    return AddInnerTile(list, pixels);
  }
  for (uint32_t done = 0; done < pixels;) {
    if (x_ == row_pixels_) {
      x_ = 0;
      if (++row_ == row_positions_.end) {
        row_ = row_positions_.begin;
        ++image_;
      }
      EnterRow();
    }
    const uint32_t count = std::min(pixels - done, row_pixels_ - x_);
    AddSpan(list, count, &table_[table_used_ + done], pixels);
    done += count;
  }
  table_used_ += pixels * list.count;
}

/// A tile within one row no tap of which is left or right of the image: what most tiles are.
void TileBlocks::AddInnerTile(const SegmentList& list, uint32_t pixels) {
  AddOutputs(pixels);
  FillInside(list, pixels, &table_[table_used_], pixels);
  table_used_ += pixels * list.count;
  x_ += pixels;
}

/// Where the next `count` pixels, all in the current row, go.
void TileBlocks::AddOutputs(uint32_t count) {
  const PartAxis& axis = request_.part.x;
  const ptrdiff_t out_x = ptrdiff_t{axis.out_first} + ptrdiff_t{x_} * axis.out_step;
  const Image& image = request_.images[image_];
  const ptrdiff_t out_step = image.output.pixel_stride * axis.out_step;
  float* output = output_row_ + out_x * image.output.pixel_stride;
  float** const outputs = &outputs_[pixels_used_];
  for (uint32_t i = 0; i < count; ++i, output += out_step) outputs[i] = output;
  if (request_.has_residual) {
    const ptrdiff_t stride = image.inputs.back().pixel_stride;
    const float* residual = residual_row_ + out_x * stride;
    for (uint32_t i = 0; i < count; ++i) {
      residuals_[pixels_used_ + i] = residual + i * (stride * axis.out_step);
    }
  }
  pixels_used_ += count;
}

/// The next `count` pixels, all in the current row.
void TileBlocks::AddSpan(const SegmentList& list, uint32_t count, const float** column,
                         uint32_t pixels) {
  AddOutputs(count);
  AddWindows(list, count, column, pixels);
}

/// The windows of the next `count` pixels: those of pixels at the row's ends one by one.
void TileBlocks::AddWindows(const SegmentList& list, uint32_t count, const float** column,
                            uint32_t pixels) {
  const uint32_t end = x_ + count;
  const bool in_place = contiguous_ || !patches_;
  while (x_ < end) {
    if (in_place && x_ >= inside_x_.begin && x_ < inside_x_.end) {
      const uint32_t run = std::min(end, inside_x_.end) - x_;
      FillInside(list, run, column, pixels);
      column += run;
      x_ += run;
      continue;
    }
    if (patches_) {
      FillPatches(list, x_, column, pixels);
    } else {
      FillTaps(list, x_, column, pixels);
    }
    ++column;
    ++x_;
  }
}

/// Segments in place: no tap is left or right of the image.
void TileBlocks::FillInside(const SegmentList& list, uint32_t count, const float** column,
                            uint32_t pixels) const {
  const ptrdiff_t step = request_.part.x.in_step * input_->pixel_stride;
  const ptrdiff_t first = static_cast<ptrdiff_t>(x_) * step;
  const float* const* rows = &list == &runs_ ? run_rows_.data() : tap_rows_.data();
  for (uint32_t s = 0; s < list.count; ++s, column += pixels) {
    const bool outside = rows[s] == nullptr;
    const float* window = outside ? kZeroPixel : rows[s] + (first + list.segments[s].offset);
    const ptrdiff_t window_step = outside ? 0 : step;
    for (uint32_t i = 0; i < count; ++i, window += window_step) column[i] = window;
  }
}

/// Segments of one pixel, each within one tap.
void TileBlocks::FillTaps(const SegmentList& list, uint32_t x, const float** column,
                          uint32_t pixels) {
  const int64_t in_x = int64_t{x} * request_.part.x.in_step;
  const ptrdiff_t pixel = in_x * input_->pixel_stride;
  const int64_t extent = input_->pixels;
  for (uint32_t s = 0; s < list.count; ++s) {
    const SegmentList::Segment& segment = list.segments[s];
    const int64_t tap_x = in_x + segment.tap_x;
    const bool inside = tap_rows_[s] != nullptr && tap_x >= 0 && tap_x < extent;
    column[size_t{s} * pixels] = inside ? tap_rows_[s] + (pixel + segment.offset) : kZeroPixel;
  }
}

/// Segments of one pixel, each a run over its kernel row: in place or as a patch.
void TileBlocks::FillPatches(const SegmentList& list, uint32_t x, const float** column,
                             uint32_t pixels) {
  const ptrdiff_t pixel =
      static_cast<ptrdiff_t>(x) * request_.part.x.in_step * input_->pixel_stride;
  const bool direct = contiguous_ && x >= inside_x_.begin && x < inside_x_.end;
  for (uint32_t s = 0; s < list.count; ++s) {
    const float*& out = column[size_t{s} * pixels];
    if (tap_rows_[s] == nullptr) {
      out = kZeroPixel;
    } else if (direct) {
      out = tap_rows_[s] + (pixel + list.segments[s].offset);
    } else {
      out = Patch(list, s, x);
    }
  }
}

/// A copy of a pixel's segment, zero where it lies outside of the image.
const float* TileBlocks::Patch(const SegmentList& list, uint32_t segment, uint32_t x) {
  const PanelPart& part = request_.part;
  float* const patch = reinterpret_cast<float*>(request_.workspace.data()) + patch_used_;
  const uint32_t length = list.lengths[segment];
  const uint32_t begin = list.segments[segment].run_begin;
  patch_used_ += length;
  std::fill_n(patch, length, 0.0F);
  const int64_t in_x = int64_t{x} * part.x.in_step;
  const float* row = tap_rows_[segment] + part.input_begin;
  if (contiguous_) {
    // The row's floats from the kernel row's first one on: those inside are one run.
    const int64_t inputs = part.inputs;
    const int64_t first = (in_x + part.x.tap_first) * inputs + begin;
    const int64_t low = std::clamp<int64_t>(-first, 0, length);
    const int64_t high = std::clamp<int64_t>(input_->pixels * inputs - first, low, length);
    std::copy(row + (first + low), row + (first + high), patch + low);
    return patch;
  }
  for (uint32_t done = 0; done < length;) {
    const uint32_t channel = (begin + done) % part.inputs;
    const uint32_t count = std::min(part.inputs - channel, length - done);
    const int64_t tap_x = in_x + part.x.Tap((begin + done) / part.inputs);
    if (tap_x >= 0 && tap_x < int64_t{input_->pixels}) {
      std::copy_n(row + tap_x * input_->pixel_stride + channel, count, patch + done);
    }
    done += count;
  }
  return patch;
}

}  // namespace coracle::kernels

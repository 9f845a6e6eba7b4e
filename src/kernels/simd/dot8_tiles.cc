#include "kernels/simd/dot8_tiles.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"

namespace coracle::kernels {
namespace {

/// Copies `count` bytes, most often some twenty of them, and touches no others.
inline void CopyBytes(const uint8_t* from, uint32_t count, uint8_t* to) {
  const auto twice = [&](auto unit) {  // two overlapping halves
    std::memcpy(&unit, from, sizeof(unit));
    auto last = unit;
    std::memcpy(&last, from + count - sizeof(unit), sizeof(unit));
    std::memcpy(to, &unit, sizeof(unit));
    std::memcpy(to + count - sizeof(unit), &last, sizeof(unit));
  };
  struct Sixteen {
    uint64_t values[2];
  };
  if (count > 32) {
    std::memcpy(to, from, count);
  } else if (count >= 16) {
    twice(Sixteen{});
  } else if (count >= 8) {
    twice(uint64_t{});
  } else if (count >= 4) {
    twice(uint32_t{});
  } else {
    for (uint32_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace

DotTiles::DotTiles(const DotRequest& request) : request_(request) {
  const Rows& in = request.images[0].inputs[0];
  const PanelPart& part = request.part;
  row_pixels_ = request.images[0].output.pixels;
  inside_x_ = part.x.Inside(row_pixels_, in.pixels);
  const RowRange inside_y = part.y.Inside(request.rows.end, in.rows);
  const bool rows_inside = inside_y.begin <= request.rows.begin && inside_y.end >= request.rows.end;
  const bool all_inside = rows_inside && inside_x_.count() == row_pixels_;
  contiguous_ = part.x.tap_step == 1 && in.pixel_stride == static_cast<ptrdiff_t>(part.inputs);
  if (request.copies) {
    patch_length_ = static_cast<uint32_t>(RoundUp(request.k_end - request.k_begin, kDot8Group));
    taps_.count = 1;
    taps_.lengths[0] = patch_length_;
  } else {
    taps_.Build(part, SegmentKind::kTaps, all_inside ? UINT32_MAX : kDot8OutsideBytes,
                in.pixel_stride, request.k_begin, request.k_end);
    CORACLE_CHECK(taps_.k_end == request.k_end);
    use_runs_ = contiguous_ && part.x.taps > 1;
    if (use_runs_) {
      runs_.Build(part, SegmentKind::kRuns, rows_inside ? UINT32_MAX : kDot8OutsideBytes,
                  in.pixel_stride, request.k_begin, request.k_end);
      use_runs_ = runs_.k_end == request.k_end;
    }
  }
  outside_.fill(request.in_zero);
  const uint64_t pixels = uint64_t{row_pixels_} * request.rows.count() * request.images.size();
  tiles_left_ = CeilDiv(pixels, request.tile_pixels);
  if (tiles_left_ == 0) return;
  small_tile_ = static_cast<uint32_t>(pixels / tiles_left_);
  large_tiles_left_ = pixels % tiles_left_;
  row_ = request.rows.begin;
  EnterRow();
}

/// Looks up where the current row of positions reads and writes.
void DotTiles::EnterRow() {
  const Image& image = request_.images[image_];
  input_ = &image.inputs[0];
  const Rows& out = image.output;
  output_row_ = request_.output_bytes == 1 ? reinterpret_cast<std::byte*>(out.Row<uint8_t>(row_))
                                           : reinterpret_cast<std::byte*>(out.Row<float>(row_));
  if (request_.copies) {
    for (uint32_t s = 0; s < std::min(request_.part.y.taps, kTileSegmentsMax); ++s) {
      tap_rows_[s] = RunRow(s);
    }
  } else {
    FindRows(taps_, tap_rows_.data());
  }
  if (use_runs_) FindRows(runs_, run_rows_.data());
}

void DotTiles::FindRows(const SegmentList& list, const uint8_t** rows) const {
  const int64_t in_y = int64_t{row_} * request_.part.y.in_step;
  for (uint32_t s = 0; s < list.count; ++s) {
    const int64_t tap_y = in_y + request_.part.y.Tap(list.segments[s].tap_y);
    const bool inside = tap_y >= 0 && tap_y < int64_t{input_->rows};
    rows[s] = inside ? input_->Row<uint8_t>(static_cast<uint32_t>(tap_y)) : nullptr;
  }
}

std::span<const DotTile> DotTiles::Next() {
  pixels_used_ = table_used_ = tiles_used_ = 0;
  const size_t patches =
      request_.copies ? request_.patch.size() / std::max(1U, patch_length_) : size_t{kBlockPixels};
  while (tiles_left_ > 0) {
    const uint32_t pixels = small_tile_ + (large_tiles_left_ > 0 ? 1 : 0);
    const bool fits = pixels_used_ + pixels <= std::min<size_t>(kBlockPixels, patches) &&
                      table_used_ + pixels * taps_.count <= kTablePointers;
    if (tiles_used_ > 0 && (!fits || pixels_used_ + pixels > request_.block_pixels)) break;
    CORACLE_CHECK(fits);
    if (large_tiles_left_ > 0) --large_tiles_left_;
    --tiles_left_;
    AddTile(pixels);
  }
  return {tiles_.data(), tiles_used_};
}

/// True if no tap of the next `pixels` pixels is left or right of the image.
bool DotTiles::TileInside(uint32_t pixels) const {
  if (x_ + pixels <= row_pixels_) return x_ >= inside_x_.begin && x_ + pixels <= inside_x_.end;
  return inside_x_.count() == row_pixels_;
}

void DotTiles::AddTile(uint32_t pixels) {
  const bool runs = use_runs_ && TileInside(pixels);
  const SegmentList& list = runs ? runs_ : taps_;
  const uint32_t length = request_.k_end - request_.k_begin;
  tiles_[tiles_used_++] = {.table = &table_[table_used_],
                           .lengths = list.lengths.data(),
                           .segment_count = list.count,
                           .groups = (length + kDot8Group - 1) / kDot8Group,
                           .outputs = &outputs_[pixels_used_],
                           .first = next_,
                           .pixels = pixels};
  for (uint32_t done = 0; done < pixels;) {
    if (x_ == row_pixels_) {
      x_ = 0;
      if (++row_ == request_.rows.end) {
        row_ = request_.rows.begin;
        ++image_;
      }
      EnterRow();
    }
    const uint32_t count = std::min(pixels - done, row_pixels_ - x_);
    const uint8_t** const column = &table_[table_used_ + done];
    if (request_.copies) {
      for (uint32_t i = 0; i < count; ++i) {
        column[i] = Patch(x_ + i);
        ++pixels_used_;
      }
      pixels_used_ -= count;
    } else {
      FillSegments(list, runs ? run_rows_.data() : tap_rows_.data(), count, column, pixels);
    }
    AddOutputs(count);
    done += count;
  }
  table_used_ += pixels * list.count;
  next_ += pixels;
}

/// Where the next `count` pixels, all in the current row, go.
void DotTiles::AddOutputs(uint32_t count) {
  const ptrdiff_t step =
      request_.images[image_].output.pixel_stride * static_cast<ptrdiff_t>(request_.output_bytes);
  std::byte* output = output_row_ + static_cast<ptrdiff_t>(x_) * step;
  for (uint32_t i = 0; i < count; ++i, output += step) outputs_[pixels_used_ + i] = output;
  pixels_used_ += count;
  x_ += count;
}

/// The segments of the next `count` pixels, all in the current row.
void DotTiles::FillSegments(const SegmentList& list, const uint8_t* const* rows, uint32_t count,
                            const uint8_t** column, uint32_t pixels) const {
  const ptrdiff_t in_step = request_.part.x.in_step;
  const ptrdiff_t first_x = static_cast<ptrdiff_t>(x_) * in_step;
  const ptrdiff_t step = in_step * input_->pixel_stride;
  const bool inside = x_ >= inside_x_.begin && x_ + count <= inside_x_.end;
  for (uint32_t s = 0; s < list.count; ++s, column += pixels) {
    if (rows[s] == nullptr) {
      std::fill_n(column, count, outside_.data());
      continue;
    }
    const SegmentList::Segment& segment = list.segments[s];
    const uint8_t* at = rows[s] + (first_x * input_->pixel_stride + segment.offset);
    if (inside) {
      for (uint32_t i = 0; i < count; ++i, at += step) column[i] = at;
      continue;
    }
    int64_t tap_x = first_x + segment.tap_x;
    for (uint32_t i = 0; i < count; ++i, at += step, tap_x += in_step) {
      column[i] = tap_x >= 0 && tap_x < int64_t{input_->pixels} ? at : outside_.data();
    }
  }
}

/// A copy of the window of position x of the current row: in_zero outside of the image, zero behind
/// its end.
const uint8_t* DotTiles::Patch(uint32_t x) {
  const PanelPart& part = request_.part;
  auto* const patch =
      reinterpret_cast<uint8_t*>(request_.patch.data()) + size_t{pixels_used_} * patch_length_;
  const uint32_t run = part.x.taps * part.inputs;
  const uint32_t whole = request_.k_end - request_.k_begin;
  const bool inside = contiguous_ && x >= inside_x_.begin && x < inside_x_.end;
  const ptrdiff_t pixel = static_cast<ptrdiff_t>(x) * part.x.in_step * input_->pixel_stride;
  uint32_t begin = request_.k_begin % run;  // in its kernel row
  uint32_t length = 0;
  for (uint32_t done = 0, s = 0; done < whole; done += length, ++s, begin = 0) {
    length = std::min(run - begin, whole - done);
    const uint8_t* const row = s < kTileSegmentsMax ? tap_rows_[s] : RunRow(s);
    if (row == nullptr) {
      std::memset(patch + done, request_.in_zero, length);
    } else if (inside) {
      CopyBytes(row + (pixel + part.x.tap_first * input_->pixel_stride + begin), length,
                patch + done);
    } else {
      CopyRun(row, int64_t{x} * part.x.in_step, begin, length, patch + done);
    }
  }
  for (uint32_t k = whole; k < patch_length_; ++k) patch[k] = 0;
  return patch;
}

/// The input row of the chunk's kernel row `s` (from the first that it has); null outside of the
/// image.
const uint8_t* DotTiles::RunRow(uint32_t s) const {
  const PartAxis& y = request_.part.y;
  const uint32_t run = request_.part.x.taps * request_.part.inputs;
  const int64_t tap_y = int64_t{row_} * y.in_step + y.Tap(request_.k_begin / run + s);
  const bool inside = tap_y >= 0 && tap_y < int64_t{input_->rows};
  return inside ? input_->Row<uint8_t>(static_cast<uint32_t>(tap_y)) : nullptr;
}

/// Bytes [begin, begin + length) of the kernel row over `row` of the position at in_x.
void DotTiles::CopyRun(const uint8_t* row, int64_t in_x, uint32_t begin, uint32_t length,
                       uint8_t* to) const {
  const PanelPart& part = request_.part;
  const int64_t inputs = part.inputs;
  if (contiguous_) {
    // The row's bytes from the kernel row's first one on: those inside are one run.
    const int64_t first = (in_x + part.x.tap_first) * inputs + begin;
    const int64_t low = std::clamp<int64_t>(-first, 0, length);
    const int64_t high = std::clamp<int64_t>(input_->pixels * inputs - first, low, length);
    if (high - low < int64_t{length}) std::memset(to, request_.in_zero, length);
    CopyBytes(row + (first + low), static_cast<uint32_t>(high - low), to + low);
    return;
  }
  for (uint32_t done = 0; done < length;) {
    const uint32_t channel = (begin + done) % part.inputs;
    const uint32_t count = std::min(part.inputs - channel, length - done);
    const int64_t tap_x = in_x + part.x.Tap((begin + done) / part.inputs);
    if (tap_x >= 0 && tap_x < int64_t{input_->pixels}) {
      CopyBytes(row + (tap_x * input_->pixel_stride + part.input_begin + channel), count,
                to + done);
    } else {
      std::memset(to + done, request_.in_zero, count);
    }
    done += count;
  }
}

}  // namespace coracle::kernels

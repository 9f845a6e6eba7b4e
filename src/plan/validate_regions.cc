#include "plan/validate_regions.h"

#include "base/checked.h"

namespace coracle::plan {

std::optional<Region> RegionOf(const Shape& shape, const Placement& placement,
                               uint64_t pool_bytes) {
  const graph::RowShape rows = graph::RowsOf(shape);
  if (rows.images == 0 || rows.rows == 0 || rows.pixels == 0 || rows.channels == 0) return {};
  const uint64_t width = uint64_t{rows.channels} * sizeof(float);
  const uint64_t pitch = placement.pixel_stride_bytes;
  if (placement.offset % sizeof(float) != 0 || pitch % sizeof(float) != 0 || pitch < width) {
    return std::nullopt;
  }
  const auto row_stride = CheckedMul(pitch, rows.pixels);
  if (!row_stride || placement.row_stride_bytes != *row_stride) return std::nullopt;
  const auto count = CheckedMul(rows.AllRows(), rows.pixels);
  if (!count) return std::nullopt;
  const auto last = CheckedMul(*count - 1, pitch);
  if (!last) return std::nullopt;
  const auto extent = CheckedAdd(*last, width);
  if (!extent || *extent > pool_bytes || placement.offset > pool_bytes - *extent) {
    return std::nullopt;
  }
  return Region{placement.offset, width, pitch, *count};
}

Region RegionOf(const PoolRange& range) { return {range.offset, range.bytes, range.bytes, 1}; }

bool MayMeet(const Region& a, const Region& b) {
  if (a.width == 0 || b.width == 0) return false;
  if (a.end() <= b.begin || b.end() <= a.begin) return false;
  const bool same_grid = a.pitch == b.pitch && !a.contiguous() && !b.contiguous();
  if (!same_grid) return true;
  // Seen from a's window, b's begins `distance` bytes further round the pitch.
  const uint64_t pitch = a.pitch;
  const uint64_t distance = (b.begin % pitch + pitch - a.begin % pitch) % pitch;
  return distance < a.width || distance + b.width > pitch;
}

}  // namespace coracle::plan

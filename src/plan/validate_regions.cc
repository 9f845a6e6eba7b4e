#include "plan/validate_regions.h"

#include "base/checked.h"

namespace coracle::plan {

std::optional<Region> RegionOf(const graph::RowShape& shape, uint64_t rows,
                               const Placement& placement, uint64_t pool_bytes) {
  if (rows == 0 || shape.pixels == 0 || shape.channels == 0) return std::nullopt;
  const uint64_t width = uint64_t{shape.channels} * sizeof(float);
  const uint64_t pitch = placement.pixel_stride_bytes;
  if (placement.offset % sizeof(float) != 0 || pitch % sizeof(float) != 0 || pitch < width) {
    return std::nullopt;
  }
  const auto row_stride = CheckedMul(pitch, shape.pixels);
  if (!row_stride || placement.row_stride_bytes != *row_stride) return std::nullopt;
  const auto count = CheckedMul(rows, shape.pixels);
  if (!count) return std::nullopt;
  const auto last = CheckedMul(*count - 1, pitch);
  if (!last) return std::nullopt;
  const auto extent = CheckedAdd(*last, width);
  if (!extent || *extent > pool_bytes || placement.offset > pool_bytes - *extent) {
    return std::nullopt;
  }
  return Region{placement.offset, width, pitch, *count};
}

std::optional<Region> RegionOf(const PoolRange& range, uint64_t bytes, uint64_t pool_bytes) {
  if (range.bytes < bytes) return std::nullopt;
  if (range.bytes == 0) return Region{};
  if (range.offset % kPoolAlignment != 0 || range.bytes > pool_bytes ||
      range.offset > pool_bytes - range.bytes) {
    return std::nullopt;
  }
  return Region{range.offset, range.bytes, range.bytes, 1};
}

bool MayMeet(const Region& a, const Region& b) {
  if (a.width == 0 || b.width == 0) return false;
  if (a.end() <= b.begin || b.end() <= a.begin) return false;
  // A run without gaps (one pixel, say) is seen on the other's grid.
  if (a.contiguous() && b.contiguous()) return true;
  if (a.pitch != b.pitch && !a.contiguous() && !b.contiguous()) return true;
  const uint64_t pitch = a.contiguous() ? b.pitch : a.pitch;
  const uint64_t a_run = a.contiguous() ? a.end() - a.begin : a.width;
  const uint64_t b_run = b.contiguous() ? b.end() - b.begin : b.width;
  // Seen from a's run, b's begins `distance` bytes further round the pitch.
  const uint64_t distance = (b.begin % pitch + pitch - a.begin % pitch) % pitch;
  return distance < a_run || distance + b_run > pitch;
}

}  // namespace coracle::plan

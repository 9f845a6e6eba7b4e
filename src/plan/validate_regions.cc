#include "plan/validate_regions.h"

#include "base/checked.h"

namespace coracle::plan {

std::optional<Region> RegionOf(const RowExtent& extent, uint64_t rows, const Placement& placement,
                               uint64_t pool_bytes) {
  const graph::RowShape& shape = extent.shape;
  const uint64_t width = extent.PixelBytes();
  if (rows == 0 || shape.pixels == 0 || width == 0) return std::nullopt;
  const uint64_t pitch = placement.pixel_stride_bytes;
  if (placement.offset % extent.element_bytes != 0 || pitch % extent.element_bytes != 0 ||
      pitch < width) {
    return std::nullopt;
  }
  const auto row_stride = CheckedMul(pitch, shape.pixels);
  if (!row_stride || placement.row_stride_bytes != *row_stride) return std::nullopt;
  const auto count = CheckedMul(rows, shape.pixels);
  if (!count) return std::nullopt;
  const auto last = CheckedMul(*count - 1, pitch);
  if (!last) return std::nullopt;
  const auto bytes = CheckedAdd(*last, width);
  if (!bytes || *bytes > pool_bytes || placement.offset > pool_bytes - *bytes) {
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

// Regions: the exact bytes that a tensor, a window or a range covers, for the validator alone (the
// planner has its own notions, so that one error cannot hide in both).
#pragma once

#include <cstdint>
#include <optional>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// `count` runs of `width` bytes, `pitch` bytes apart. width 0: nothing.
struct Region {
  uint64_t begin = 0;
  uint64_t width = 0;
  uint64_t pitch = 0;
  uint64_t count = 1;

  uint64_t end() const { return begin + (count - 1) * pitch + width; }
  bool contiguous() const { return count == 1 || pitch == width; }
};

/// A tensor's rows, of one input, and the bytes of an element of its type.
struct RowExtent {
  graph::RowShape shape;
  uint64_t element_bytes = 0;

  uint64_t PixelBytes() const { return shape.channels * element_bytes; }
  uint64_t RowBytes() const { return shape.pixels * PixelBytes(); }
};

/// The bytes of `rows` placed rows of the extent's pixels and channels. Nothing unless offset and
/// strides are multiples of an element, pixels do not overlap, rows follow one another and the end
/// is at most `pool_bytes`.
std::optional<Region> RegionOf(const RowExtent& extent, uint64_t rows, const Placement& placement,
                               uint64_t pool_bytes);

/// A range of at least `bytes`, 64-byte aligned, inside of the pool. Nothing if it is not that.
std::optional<Region> RegionOf(const PoolRange& range, uint64_t bytes, uint64_t pool_bytes);

/// True if some byte may be in both. Slices of one pixel grid (equal pitches, other runs) do not
/// meet. Requires: both ends fit 64 bits.
bool MayMeet(const Region& a, const Region& b);

}  // namespace coracle::plan

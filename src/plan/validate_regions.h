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

/// The bytes of `rows` placed rows of the shape's pixels and channels. Nothing unless offset and
/// strides are multiples of a float, pixels do not overlap, rows follow one another and the end is
/// at most `pool_bytes`.
std::optional<Region> RegionOf(const graph::RowShape& shape, uint64_t rows,
                               const Placement& placement, uint64_t pool_bytes);

/// A range of at least `bytes`, 64-byte aligned, inside of the pool. Nothing if it is not that.
std::optional<Region> RegionOf(const PoolRange& range, uint64_t bytes, uint64_t pool_bytes);

/// True if some byte may be in both. Slices of one pixel grid (equal pitches, other runs) do not
/// meet. Requires: both ends fit 64 bits.
bool MayMeet(const Region& a, const Region& b);

}  // namespace coracle::plan

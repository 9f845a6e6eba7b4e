#include "characterize/analysis/region_map.h"

#include <algorithm>

#include "base/checked.h"
#include "characterize/program/access_run.h"

namespace coracle::characterize {

void RegionMap::Set(const std::vector<Region>& regions) {
  stretches_.clear();
  std::vector<const Region*> order;
  order.reserve(regions.size());
  for (const Region& region : regions) {
    if (region.bytes != 0) order.push_back(&region);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Region* a, const Region* b) { return a->begin < b->begin; });
  uint64_t next = 0;
  for (const Region* region : order) {
    const uint64_t last = CheckedAdd(region->begin, region->bytes - 1).value_or(UINT64_MAX);
    const uint64_t first = std::max(region->begin >> kLineShift, next);
    const uint64_t end = (last >> kLineShift) + 1;
    if (first >= end) continue;
    stretches_.push_back({first, end - first, region->kind, true});
    next = end;
  }
}

RegionMap::Stretch RegionMap::Find(uint64_t line) const {
  const auto after = std::upper_bound(
      stretches_.begin(), stretches_.end(), line,
      [](uint64_t value, const Stretch& stretch) { return value < stretch.first; });
  uint64_t first = 0;
  if (after != stretches_.begin()) {
    const Stretch& before = *std::prev(after);
    if (line - before.first < before.count) return before;
    first = before.first + before.count;
  }
  const uint64_t end = after == stretches_.end() ? UINT64_MAX : after->first;
  return {first, end - first, MemoryKind::kUnknown, false};
}

}  // namespace coracle::characterize

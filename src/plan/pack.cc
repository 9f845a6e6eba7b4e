#include "plan/pack.h"

#include <algorithm>

#include "base/checked.h"
#include "plan/pack_greedy.h"
#include "plan/pack_search.h"
#include "plan/pack_sections.h"

namespace coracle::plan {
namespace {

/// Asks for the smallest pool first, then for one halfway between the largest without a packing and
/// the smallest with one. Each question gets half of the work that is left, so that a pool that is
/// hard to decide leaves some for easier ones.
void Tighten(std::span<const Buffer> buffers, OffsetSearch& search, const PackLimits& limits,
             Packing& packing) {
  const uint64_t unit = search.unit_bytes();
  uint64_t low = CeilDiv(std::max(packing.bound_bytes, limits.enough_bytes), unit);
  uint64_t asked = low;
  while (asked * unit < packing.pool_bytes && search.work() < limits.search_work) {
    const uint64_t work = CeilDiv(limits.search_work - search.work(), 2);
    const Verdict verdict = search.Fit(asked * unit, work);
    if (verdict == Verdict::kFits) {
      packing.offsets = search.Offsets();
      packing.pool_bytes = 0;
      for (size_t i = 0; i < buffers.size(); ++i) {
        packing.pool_bytes = std::max(packing.pool_bytes, packing.offsets[i] + buffers[i].bytes);
      }
    } else {
      low = asked + 1;
      if (verdict == Verdict::kNeverFits) packing.bound_bytes = low * unit;
      if (verdict == Verdict::kUnknown && !search.searchable()) return;
    }
    asked = low + (CeilDiv(packing.pool_bytes, unit) - low) / 2;
  }
}

}  // namespace

uint64_t OverlaySaving(const Overlay& overlay, uint64_t predecessor_bytes,
                       uint64_t successor_bytes) {
  const auto before = static_cast<int64_t>(predecessor_bytes);
  const auto after = static_cast<int64_t>(successor_bytes);
  // The successor begins `below` before the predecessor, or `above` behind its begin; where one of
  // these is negative, both may begin together.
  const int64_t below = std::max<int64_t>(overlay.below, 0);
  const int64_t above = std::max<int64_t>(overlay.above, 0);
  const int64_t least =
      std::min({std::max(below + before, after), std::max(before, above + after), before + after});
  return static_cast<uint64_t>(before + after - least);
}

Packing Pack(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
             const PackLimits& limits) {
  if (buffers.empty()) return {};
  const Sections sections = SectionsOf(buffers, overlays);
  Packing packing = PackGreedily(buffers, overlays, sections,
                                 std::max(limits.enough_bytes, sections.HighestLoad()));
  if (limits.search_work == 0 || packing.pool_bytes <= limits.enough_bytes ||
      packing.pool_bytes <= packing.bound_bytes) {
    return packing;
  }
  OffsetSearch search(buffers, overlays, sections);
  Tighten(buffers, search, limits, packing);
  packing.nodes = search.nodes();
  return packing;
}

}  // namespace coracle::plan

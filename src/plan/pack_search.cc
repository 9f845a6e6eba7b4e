#include "plan/pack_search.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace coracle::plan {
namespace {

constexpr uint32_t kNoIndex = UINT32_MAX;

}  // namespace

// Found by trial on instances of accelerator compilers: no order is good for all of them.
const std::array<OffsetSearch::Order, 5> OffsetSearch::kOrders{{
    {Trait::kLoad, Trait::kLength, Trait::kArea},
    {Trait::kLoad, Trait::kOverlaps, Trait::kLength},
    {Trait::kLoad, Trait::kArea, Trait::kLength},
    {Trait::kLength, Trait::kArea, Trait::kLoad},
    {Trait::kOverlaps, Trait::kLength, Trait::kArea},
}};

OffsetSearch::OffsetSearch(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
                           const Sections& sections)
    : neighbors_(buffers.size()),
      sharings_(buffers.size()),
      section_count_(static_cast<uint32_t>(sections.loads.size())),
      ranks_(buffers.size()),
      lowest_(buffers.size()),
      placed_(buffers.size()),
      offsets_(buffers.size()),
      bridges_(section_count_),
      section_sums_(section_count_),
      item_loads_(buffers.size()),
      bound_of_(buffers.size()),
      counted_(buffers.size()) {
  FindUnit(buffers, overlays);
  uint64_t total = 0;
  for (const Buffer& buffer : buffers) total += buffer.bytes / unit_bytes_;
  // All sums of sizes stay within int32_t.
  if (buffers.size() > kBuffersMax || total > uint64_t{INT32_MAX} / 2) return;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const SectionRange range = sections.ranges[i];
    items_.push_back({range, static_cast<int32_t>(buffers[i].bytes / unit_bytes_),
                      buffers[i].last - buffers[i].first + 1, kNoIndex});
    for (uint32_t s = range.begin; s + 1 < range.end; ++s) ++bridges_[s];
  }
  AddNeighbors(overlays);
}

void OffsetSearch::FindUnit(std::span<const Buffer> buffers, std::span<const Overlay> overlays) {
  for (const Buffer& buffer : buffers) unit_bytes_ = std::gcd(unit_bytes_, buffer.bytes);
  for (const Overlay& overlay : overlays) {
    unit_bytes_ = std::gcd(unit_bytes_, static_cast<uint64_t>(std::abs(overlay.below)));
    unit_bytes_ = std::gcd(unit_bytes_, static_cast<uint64_t>(std::abs(overlay.above)));
  }
  unit_bytes_ = std::max<uint64_t>(unit_bytes_, 1);
}

void OffsetSearch::AddNeighbors(std::span<const Overlay> overlays) {
  std::vector<Index> by_begin(items_.size());
  std::iota(by_begin.begin(), by_begin.end(), 0U);
  std::sort(by_begin.begin(), by_begin.end(), [this](Index a, Index b) {
    const uint32_t begin_a = items_[a].sections.begin;
    const uint32_t begin_b = items_[b].sections.begin;
    return begin_a != begin_b ? begin_a < begin_b : a < b;
  });
  size_t pairs = 0;
  for (size_t k = 0; k < by_begin.size(); ++k) {
    const Index a = by_begin[k];
    for (size_t l = k + 1; l < by_begin.size(); ++l) {
      const Index b = by_begin[l];
      if (items_[b].sections.begin >= items_[a].sections.end) break;
      neighbors_[a].push_back({b, items_[a].size});
      neighbors_[b].push_back({a, items_[b].size});
      if (++pairs > kPairsMax) return;
    }
  }
  for (const Overlay& overlay : overlays) AddOverlay(overlay);
  FindTwins();
  searchable_ = true;
}

void OffsetSearch::AddOverlay(const Overlay& overlay) {
  const Index a = overlay.predecessor;
  const Index b = overlay.successor;
  SetDistance(a, b, overlay.above);
  SetDistance(b, a, overlay.below);
  const auto bytes = [this](Index i) {
    return static_cast<uint64_t>(items_[i].size) * unit_bytes_;
  };
  const uint64_t saving = OverlaySaving(overlay, bytes(a), bytes(b)) / unit_bytes_;
  const SectionRange both = Intersection(items_[a].sections, items_[b].sections);
  sharings_[a].push_back({b, static_cast<int32_t>(saving), both});
  sharings_[b].push_back({a, static_cast<int32_t>(saving), both});
}

void OffsetSearch::SetDistance(Index lower, Index upper, int64_t bytes) {
  // Without a distance the order of the two is open: not all such packings are looked for.
  if (bytes <= 0) exact_ = false;
  const int64_t units = bytes / static_cast<int64_t>(unit_bytes_);
  for (Neighbor& neighbor : neighbors_[lower]) {
    if (neighbor.item != upper) continue;
    neighbor.distance = static_cast<int32_t>(std::clamp<int64_t>(units, 0, items_[lower].size));
  }
}

void OffsetSearch::FindTwins() {
  for (Index i = 0; i < items_.size(); ++i) {
    if (!sharings_[i].empty()) continue;
    for (const Neighbor& neighbor : neighbors_[i]) {
      const Index j = neighbor.item;
      const bool same = items_[i].sections.begin == items_[j].sections.begin &&
                        items_[i].sections.end == items_[j].sections.end &&
                        items_[i].size == items_[j].size && sharings_[j].empty();
      const bool latest = items_[i].twin == kNoIndex || items_[i].twin < j;
      if (j < i && same && latest) items_[i].twin = j;
    }
  }
}

std::vector<uint64_t> OffsetSearch::Offsets() const {
  std::vector<uint64_t> offsets;
  for (int32_t offset : offsets_) offsets.push_back(static_cast<uint64_t>(offset) * unit_bytes_);
  return offsets;
}

Verdict OffsetSearch::Fit(uint64_t pool_bytes, uint64_t work) {
  if (!searchable_) return Verdict::kUnknown;
  pool_ = static_cast<int32_t>(std::min<uint64_t>(pool_bytes / unit_bytes_, INT32_MAX / 2));
  const uint64_t end = work_ + work;
  std::vector<Candidate> all(items_.size());
  for (Index i = 0; i < all.size(); ++i) all[i].item = i;
  std::vector<uint32_t> bounds{0};
  for (uint32_t s = 0; s < section_count_; ++s) {
    if (bridges_[s] == 0) bounds.push_back(s + 1);
  }
  // A descent without any turning back looks at n^2 / 2 buffers.
  uint64_t share = 2 * items_.size() * items_.size();
  while (work_ < end) {
    for (const Order& order : kOrders) {
      if (work_ >= end) break;
      order_ = order;
      work_limit_ = std::min(end, work_ + share);
      const Verdict verdict = DescendApart(all, bounds, 0);
      if (verdict == Verdict::kNeverFits && !exact_) return Verdict::kUnknown;
      if (verdict != Verdict::kUnknown) return verdict;
    }
    share *= 2;
  }
  return Verdict::kUnknown;
}

uint64_t OffsetSearch::TraitOf(Trait trait, Index item) const {
  switch (trait) {
    case Trait::kLoad:
      return item_loads_[item];
    case Trait::kOverlaps:
      return neighbors_[item].size();
    case Trait::kLength:
      return items_[item].length;
    case Trait::kArea:
      return static_cast<uint64_t>(items_[item].size) * items_[item].length;
  }
  return 0;
}

/// Gives the buffers of a group their ranks; their loads are those of this group alone.
void OffsetSearch::Rank(std::span<Candidate> group) {
  std::fill(section_sums_.begin(), section_sums_.end(), 0);
  for (const Candidate& candidate : group) {
    const Item& item = items_[candidate.item];
    for (uint32_t s = item.sections.begin; s < item.sections.end; ++s)
      section_sums_[s] += item.size;
  }
  std::vector<Index> sorted;
  for (const Candidate& candidate : group) {
    const SectionRange range = items_[candidate.item].sections;
    item_loads_[candidate.item] = static_cast<uint64_t>(
        *std::max_element(section_sums_.begin() + range.begin, section_sums_.begin() + range.end));
    sorted.push_back(candidate.item);
  }
  std::sort(sorted.begin(), sorted.end(), [this](Index a, Index b) {
    for (Trait trait : order_) {
      if (TraitOf(trait, a) != TraitOf(trait, b)) return TraitOf(trait, a) > TraitOf(trait, b);
    }
    return a < b;
  });
  for (uint32_t rank = 0; rank < sorted.size(); ++rank) ranks_[sorted[rank]] = rank;
}

/// Places what is unplaced of a group; all of it lies in `sections`.
Verdict OffsetSearch::Descend(std::span<const Candidate> group, SectionRange sections,
                              Floor floor) {
  if (work_ >= work_limit_) return Verdict::kUnknown;
  ++nodes_;
  work_ += group.size();
  std::vector<Candidate> unplaced;
  unplaced.reserve(group.size());
  int32_t lowest_top = std::numeric_limits<int32_t>::max();
  for (const Candidate& candidate : group) {
    const Index item = candidate.item;
    if (placed_[item]) continue;
    unplaced.push_back({lowest_[item], item});
    lowest_top = std::min(lowest_top, lowest_[item] + items_[item].size);
  }
  if (unplaced.empty()) return Verdict::kFits;
  // A buffer that fits wholly below all that will follow belongs there.
  if (lowest_top <= floor.offset) return Verdict::kNeverFits;
  std::sort(unplaced.begin(), unplaced.end(), [this](const Candidate& a, const Candidate& b) {
    return a.offset != b.offset ? a.offset < b.offset : ranks_[a.item] < ranks_[b.item];
  });
  if (!MayFit(unplaced, floor) || !SectionsHold(sections)) return Verdict::kNeverFits;
  for (const Candidate& candidate : unplaced) {
    if (candidate.offset >= lowest_top) break;
    const bool passed_over =
        candidate.offset < floor.offset ||
        (candidate.offset == floor.offset && ranks_[candidate.item] < floor.rank);
    if (passed_over) continue;
    const Index twin = items_[candidate.item].twin;
    if (twin != kNoIndex && !placed_[twin]) continue;
    const Verdict verdict = Place(candidate, unplaced, sections);
    if (verdict != Verdict::kNeverFits) return verdict;
  }
  return Verdict::kNeverFits;
}

/// Sets bounds_. `unplaced` is sorted.
bool OffsetSearch::MayFit(const std::vector<Candidate>& unplaced, Floor floor) {
  bounds_ = unplaced;
  for (const Candidate& bound : bounds_) {
    bound_of_[bound.item] = std::max(bound.offset, floor.offset);
  }
  return LiftPassedOver(floor);
}

/// A buffer that the canonical order has passed over waits for an unplaced neighbour below it.
bool OffsetSearch::LiftPassedOver(Floor floor) {
  for (Candidate& bound : bounds_) {
    const Index item = bound.item;
    const bool passed_over =
        bound.offset < floor.offset || (bound.offset == floor.offset && ranks_[item] < floor.rank);
    if (passed_over) {
      int32_t lifted = std::numeric_limits<int32_t>::max();
      for (const Neighbor& neighbor : neighbors_[item]) {
        if (placed_[neighbor.item]) continue;
        lifted = std::min(lifted, bound_of_[neighbor.item] + items_[neighbor.item].size);
      }
      // One that it may overlap lifts it by a unit at least.
      for (const Sharing& sharing : sharings_[item]) {
        if (placed_[sharing.partner]) continue;
        lifted = std::min(lifted, bound_of_[sharing.partner] + 1);
      }
      if (lifted > pool_) return false;
      bound_of_[item] = std::max(bound_of_[item], lifted);
    }
    bound.offset = bound_of_[item];
  }
  return true;
}

/// Of the buffers at or above any offset, those of one section fill it from there on.
bool OffsetSearch::SectionsHold(SectionRange sections) {
  std::sort(bounds_.begin(), bounds_.end(),
            [](const Candidate& a, const Candidate& b) { return a.offset > b.offset; });
  std::fill(section_sums_.begin() + sections.begin, section_sums_.begin() + sections.end, 0);
  ++checks_;
  for (const Candidate& bound : bounds_) {
    const Item& item = items_[bound.item];
    for (const Sharing& sharing : sharings_[bound.item]) {
      if (counted_[sharing.partner] != checks_) continue;
      for (uint32_t s = sharing.sections.begin; s < sharing.sections.end; ++s) {
        section_sums_[s] -= sharing.saving;
      }
    }
    counted_[bound.item] = checks_;
    const int32_t room = pool_ - bound.offset;
    int32_t* const sums = section_sums_.data();
    bool holds = true;
    for (uint32_t s = item.sections.begin; s < item.sections.end; ++s) {
      sums[s] += item.size;
      holds &= sums[s] <= room;
    }
    if (!holds) return false;
  }
  return true;
}

Verdict OffsetSearch::Place(const Candidate& chosen, std::span<const Candidate> group,
                            SectionRange sections) {
  const Item& item = items_[chosen.item];
  const size_t mark = lifts_.size();
  placed_[chosen.item] = true;
  for (const Neighbor& neighbor : neighbors_[chosen.item]) {
    int32_t& lowest = lowest_[neighbor.item];
    if (placed_[neighbor.item] || lowest >= chosen.offset + neighbor.distance) continue;
    lifts_.push_back({neighbor.item, lowest});
    lowest = chosen.offset + neighbor.distance;
  }
  std::vector<uint32_t> bounds{sections.begin};
  for (uint32_t s = item.sections.begin; s + 1 < item.sections.end; ++s) {
    if (--bridges_[s] == 0) bounds.push_back(s + 1);
  }
  bounds.push_back(sections.end);
  const Verdict verdict = bounds.size() == 2
                              ? Descend(group, sections, {chosen.offset, ranks_[chosen.item]})
                              : DescendApart(group, bounds, chosen.offset);
  for (uint32_t s = item.sections.begin; s + 1 < item.sections.end; ++s) ++bridges_[s];
  for (; lifts_.size() > mark; lifts_.pop_back())
    lowest_[lifts_.back().item] = lifts_.back().offset;
  placed_[chosen.item] = false;
  if (verdict == Verdict::kFits) offsets_[chosen.item] = chosen.offset;
  return verdict;
}

/// Searches the groups between `bounds` one by one: none can help or hinder another.
Verdict OffsetSearch::DescendApart(std::span<const Candidate> group,
                                   const std::vector<uint32_t>& bounds, int32_t floor_offset) {
  std::vector<std::vector<Candidate>> groups(bounds.size() - 1);
  for (const Candidate& candidate : group) {
    if (placed_[candidate.item]) continue;
    const auto next =
        std::upper_bound(bounds.begin(), bounds.end(), items_[candidate.item].sections.begin);
    groups[static_cast<size_t>(next - bounds.begin()) - 1].push_back(candidate);
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    std::vector<uint32_t> ranks;
    for (const Candidate& candidate : groups[i]) ranks.push_back(ranks_[candidate.item]);
    Rank(groups[i]);
    const Verdict verdict = Descend(groups[i], {bounds[i], bounds[i + 1]}, {floor_offset, 0});
    for (size_t k = 0; k < ranks.size(); ++k) ranks_[groups[i][k].item] = ranks[k];
    if (verdict != Verdict::kFits) return verdict;
  }
  return Verdict::kFits;
}

}  // namespace coracle::plan

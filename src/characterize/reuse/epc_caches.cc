#include "characterize/reuse/epc_caches.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace coracle::characterize {

EpcCaches::EpcCaches(const std::vector<uint64_t>& capacities_pages, uint32_t run_pages_max,
                     uint32_t kept_pages)
    : caches_(capacities_pages.size()),
      run_pages_max_(std::max<uint32_t>(run_pages_max, 1)),
      kept_pages_(kept_pages) {
  CORACLE_CHECK(capacities_pages.size() <= kSizesMax);
  for (size_t i = 0; i < caches_.size(); ++i) {
    caches_[i].capacity_pages = capacities_pages[i];
    all_ |= uint32_t{1} << i;
  }
}

void EpcCaches::Enlarge(uint32_t id) {
  const size_t count = size_t{id} + id / 2 + 64;
  resident_.resize(count, 0);
  number_.resize(count, 0);
  is_pinned_.resize(count, false);
  for (Cache& cache : caches_) cache.links.resize(count);
}

uint32_t EpcCaches::TouchMissing(uint32_t id, uint64_t page, Arrival arrival) {
  number_[id] = page;
  first_touches_ += arrival == Arrival::kFirst ? 1 : 0;
  const uint32_t missed = all_ & ~resident_[id];
  for (uint32_t missing = missed; missing != 0; missing &= missing - 1) {
    const auto index = static_cast<size_t>(std::countr_zero(missing));
    MakeRoom(index, 1);
    Add(caches_[index], id, arrival);
  }
  resident_[id] = all_;
  return arrival == Arrival::kAgain ? missed : 0;
}

void EpcCaches::MakeRoom(size_t index, uint64_t pages) {
  Cache& cache = caches_[index];
  const uint64_t taken = pinned_ + kept_pages_;
  const uint64_t room = std::max(cache.capacity_pages, taken + kEvictableLeast) - taken;
  while (cache.evictable() != 0 && cache.evictable() + pages > room) EvictRun(index);
}

void EpcCaches::EvictRun(size_t index) {
  Cache& cache = caches_[index];
  uint32_t id = cache.fresh.oldest != kNone ? cache.fresh.oldest : cache.proven.oldest;
  for (uint32_t count = 0; count < run_pages_max_ && id != kNone; ++count) {
    const uint32_t newer = cache.links[id].newer;
    Unlink(cache, id);
    resident_[id] &= ~(uint32_t{1} << index);
    cache.links[id].evicted_at = cache.evictions++;
    if (newer != kNone && number_[newer] != number_[id] + 1) return;
    id = newer;
  }
}

void EpcCaches::Add(Cache& cache, uint32_t id, Arrival arrival) {
  Link& link = cache.links[id];
  if (arrival != Arrival::kAgain) {
    link.evicted_at = kNeverEvicted;
    return Append(cache, id, false);
  }
  ++cache.loads;
  const uint64_t proven_max = cache.capacity_pages / 2;
  // Evictions in between, without its own.
  const bool soon =
      link.evicted_at != kNeverEvicted && cache.evictions - link.evicted_at - 1 < proven_max;
  Append(cache, id, soon);
  while (cache.proven.count > proven_max) {
    const uint32_t oldest = cache.proven.oldest;
    Unlink(cache, oldest);
    Append(cache, oldest, false);
  }
}

void EpcCaches::Append(Cache& cache, uint32_t id, bool proven) {
  Queue& queue = proven ? cache.proven : cache.fresh;
  Link& link = cache.links[id];
  link.older = queue.newest;
  link.newer = kNone;
  link.proven = proven;
  (queue.newest == kNone ? queue.oldest : cache.links[queue.newest].newer) = id;
  queue.newest = id;
  ++queue.count;
}

void EpcCaches::Unlink(Cache& cache, uint32_t id) {
  const Link link = cache.links[id];
  Queue& queue = link.proven ? cache.proven : cache.fresh;
  (link.older == kNone ? queue.oldest : cache.links[link.older].newer) = link.newer;
  (link.newer == kNone ? queue.newest : cache.links[link.newer].older) = link.older;
  --queue.count;
}

void EpcCaches::Remove(uint32_t id) {
  if (id >= resident_.size()) return;
  if (is_pinned_[id]) {
    is_pinned_[id] = false;
    --pinned_;
  } else {
    for (uint32_t left = resident_[id]; left != 0; left &= left - 1) {
      Unlink(caches_[static_cast<size_t>(std::countr_zero(left))], id);
    }
  }
  resident_[id] = 0;
}

void EpcCaches::Pin(uint32_t id) {
  if (id >= resident_.size()) Enlarge(id);
  if (is_pinned_[id]) return;
  Remove(id);
  is_pinned_[id] = true;
  ++pinned_;
  for (size_t i = 0; i < caches_.size(); ++i) MakeRoom(i, 0);
  resident_[id] = all_;
}

void EpcCaches::Restart() {
  first_touches_ = 0;
  for (Cache& cache : caches_) {
    cache.loads = 0;
    cache.evictions_before = cache.evictions;
  }
}

EpcCaches::Counts EpcCaches::counts(size_t index) const {
  const Cache& cache = caches_[index];
  return {cache.capacity_pages, cache.loads, cache.evictions - cache.evictions_before,
          cache.evictable() + pinned_};
}

}  // namespace coracle::characterize

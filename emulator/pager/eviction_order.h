// EvictionOrder: which present page goes next. First in, first out, with a second chance.
//
// User space sees no accessed bits. But when an evicted page is loaded again, the number of
// evictions in between (its refault distance) says how much larger a memory would have kept it. A
// page that comes back within half a memory is proven: it goes into a queue of its own, which is
// evicted only where the other is empty and holds at most half of the memory. Past that, its oldest
// go back to the end of the common queue. A page that is used all the time is so loaded once or
// twice instead of once a memory's worth of others; a stream that is larger than the memory never
// comes back soon, and changes nothing of that.
// (The idea: J. Weiner, "Thrash detection-based file cache sizing", Linux mm/workingset.c.)
//
// Threads: under the pager's lock.
#pragma once

#include <cstdint>

#include "emulator/pager/page_table.h"

namespace coracle::epc {

/// Pages one behind the other, linked by their records.
class PageQueue {
 public:
  PageRecord* oldest() const { return oldest_; }
  uint64_t count() const { return count_; }
  void PushNewest(PageRecord& page);
  void Remove(PageRecord& page);
  /// `to` takes the place of `from`.
  void Replace(PageRecord& from, PageRecord& to);

 private:
  PageRecord* oldest_ = nullptr;
  PageRecord* newest_ = nullptr;
  uint64_t count_ = 0;
};

class EvictionOrder {
 public:
  /// A page that was loaded after `refault_distance` other evictions, of a memory of `limit_pages`.
  void AddLoaded(PageRecord& page, uint64_t refault_distance, uint64_t limit_pages);
  /// Any other page that is present and may be evicted.
  void AddFresh(PageRecord& page);
  /// Requires: page.queued.
  void Remove(PageRecord& page);
  /// `to`, which is not queued, takes the place of `from`, which is.
  void Replace(PageRecord& from, PageRecord& to);

  /// The next to go; null if there is none. The one after it is its `newer`, as long as that is not
  /// null.
  PageRecord* next() const {
    return fresh_.oldest() != nullptr ? fresh_.oldest() : proven_.oldest();
  }

 private:
  PageQueue& QueueOf(const PageRecord& page) { return page.proven ? proven_ : fresh_; }

  PageQueue fresh_;
  PageQueue proven_;
};

}  // namespace coracle::epc

// EpcCaches: what paging would do in memories of several sizes at once, from one trace: epcrun's
// own policy (emulator/pager/eviction_order.h), simulated.
//
// Pages leave in the order in which they came, a run at a time: the oldest page, and those after it
// as long as each is its predecessor's neighbour in memory. A page that is loaded again within half
// a memory of evictions is proven: it waits in a queue of its own, which holds at most half of the
// memory and is evicted from only where the other is empty; past that, its oldest go to the end of
// the other. None of this has the stack property of LRU, so each size is simulated, and none is
// read off a curve.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace coracle::characterize {

class EpcCaches {
 public:
  /// Fewest evictable pages that a memory works with, however much is pinned: an instruction may
  /// touch several at once.
  static constexpr uint64_t kEvictableLeast = 16;
  static constexpr size_t kSizesMax = 32;

  /// How a page comes.
  enum class Arrival : uint8_t {
    kFirst,   ///< it has no content yet, and needs no load
    kFilled,  ///< from a file, by the kernel: no load either, and not touched
    kAgain    ///< if it is not there it must be loaded
  };
  struct Counts {
    uint64_t capacity_pages = 0;
    uint64_t loads = 0;
    uint64_t evictions = 0;
    uint64_t resident_pages = 0;  ///< pinned ones too
  };

  /// At most kSizesMax sizes. When a memory is full, up to `run_pages_max` pages leave together.
  EpcCaches(const std::vector<uint64_t>& capacities_pages, uint32_t run_pages_max);

  /// A touch of page `id` (dense), whose number in memory is `page`.
  void Touch(uint32_t id, uint64_t page, Arrival arrival) {
    if (id >= resident_.size()) Enlarge(id);
    if (resident_[id] != all_) TouchMissing(id, page, arrival);
  }
  /// The page is gone, with its content.
  void Remove(uint32_t id);
  /// From now on the page is always present, and charged. It need not have been touched.
  void Pin(uint32_t id);

  /// A memory by index: in the order in which the sizes were given.
  Counts counts(size_t index) const;
  size_t size() const { return caches_.size(); }
  uint64_t first_touches() const { return first_touches_; }
  uint64_t pinned_pages() const { return pinned_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint64_t kNeverEvicted = UINT64_MAX;
  struct Link {
    uint32_t older = kNone;
    uint32_t newer = kNone;
    bool proven = false;
    uint64_t evicted_at = kNeverEvicted;  ///< by the cache's number of evictions then
  };
  struct Queue {
    uint32_t oldest = kNone;
    uint32_t newest = kNone;
    uint64_t count = 0;
  };
  struct Cache {
    uint64_t capacity_pages = 0;
    uint64_t loads = 0;
    uint64_t evictions = 0;
    Queue fresh;
    Queue proven;
    std::vector<Link> links;  ///< by page

    uint64_t evictable() const { return fresh.count + proven.count; }
  };

  void Enlarge(uint32_t id);
  void TouchMissing(uint32_t id, uint64_t page, Arrival arrival);
  void MakeRoom(size_t index, uint64_t pages);
  void EvictRun(size_t index);
  static void Add(Cache& cache, uint32_t id, Arrival arrival);
  static void Append(Cache& cache, uint32_t id, bool proven);
  static void Unlink(Cache& cache, uint32_t id);

  std::vector<Cache> caches_;
  std::vector<uint32_t> resident_;  ///< by page: a bit for each memory that has it
  std::vector<uint64_t> number_;    ///< by page: its number in memory
  std::vector<bool> is_pinned_;     ///< by page
  uint32_t all_ = 0;
  uint32_t run_pages_max_;
  uint64_t pinned_ = 0;
  uint64_t first_touches_ = 0;
};

}  // namespace coracle::characterize

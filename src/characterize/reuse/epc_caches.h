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
  /// What epcrun charges a program of one thread beside its own pages: the page that is on its way
  /// (emulator/pager/residency.h), and two that the main thread's control block lies across
  /// (emulator/preload/adoption.h). Further threads' blocks and buffers of calls are not known.
  static constexpr uint32_t kKeptPages = 3;

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
    uint64_t resident_pages = 0;  ///< pinned ones too, not those that are kept
  };

  /// At most kSizesMax sizes. When a memory is full, up to `run_pages_max` pages leave together.
  /// `kept_pages` of each are never free.
  EpcCaches(const std::vector<uint64_t>& capacities_pages, uint32_t run_pages_max,
            uint32_t kept_pages = kKeptPages);

  /// A touch of page `id` (dense), whose number in memory is `page`. Returns the memories that load
  /// it for that, a bit for each by its index.
  uint32_t Touch(uint32_t id, uint64_t page, Arrival arrival) {
    if (id >= resident_.size()) Enlarge(id);
    return resident_[id] == all_ ? 0 : TouchMissing(id, page, arrival);
  }
  /// The page is gone, with its content.
  void Remove(uint32_t id);
  /// From now on the page is always present, and charged. It need not have been touched.
  void Pin(uint32_t id);
  /// Counts of loads, evictions and first touches begin anew; what is resident stays.
  void Restart();

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
    uint64_t evictions = 0;         ///< the clock of `evicted_at`
    uint64_t evictions_before = 0;  ///< of these, before Restart
    Queue fresh;
    Queue proven;
    std::vector<Link> links;  ///< by page

    uint64_t evictable() const { return fresh.count + proven.count; }
  };

  void Enlarge(uint32_t id);
  uint32_t TouchMissing(uint32_t id, uint64_t page, Arrival arrival);
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
  uint32_t kept_pages_;
  uint64_t pinned_ = 0;
  uint64_t first_touches_ = 0;
};

}  // namespace coracle::characterize

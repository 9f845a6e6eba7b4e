// ObjectMap: the blocks that a program has allocated, and what becomes of them; and the same by
// where they were asked for.
//
// A page belongs to the live block that covers most of it (of equals, the lower one): only blocks
// of at least a page are followed, so that a page has at most two. It is the caller who follows
// accesses, page by page, and who says whose they are: an Owner, which holds until version()
// changes. Nothing here is done by page when a block comes or goes.
// A block is an object for as long as it is remembered: when there are too many, those that were
// freed and have fewest pages are forgotten, and stay in the counts of their call path.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/trace_note.h"
#include "characterize/analysis/access_volume.h"
#include "characterize/program/trace_names.h"
#include "characterize/reuse/distance_histogram.h"

namespace coracle::characterize {

/// The n-th block that was allocated, from 0.
enum class BlockIndex : uint64_t {};

class ObjectMap {
 public:
  static constexpr uint64_t kBytesLeast = kTraceAllocationBytesLeast;
  static constexpr size_t kObjectsMax = 8192;
  static constexpr size_t kAccessorsMax = 16;
  /// Further call paths count as unknown.
  static constexpr size_t kPathsMax = 1 << 16;
  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr BlockIndex kNoBlock = BlockIndex{UINT64_MAX};

  /// A function and what it accesses of an object. Exact as long as no more than kAccessorsMax have
  /// accessed it. Beyond, those with most bytes are kept by Space-Saving (Metwally, Agrawal, El
  /// Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005):
  /// who has a larger share than 1 / kAccessorsMax is there, without what was forgotten before it
  /// came.
  struct Accessor {
    FunctionIndex function{};
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    uint64_t rank = 0;  ///< at least the bytes that it accessed
  };
  /// Times are in accesses since counts began; 0 for what was before.
  struct Object {
    BlockIndex index = kNoBlock;
    CallPathIndex path{};
    uint64_t ordinal = 0;  ///< of the allocations of that path, from 1
    uint64_t begin = 0;
    uint64_t bytes = 0;
    uint64_t allocated_at = 0;
    uint64_t freed_at = kNever;
    uint64_t first_access = kNever;
    uint64_t last_access = kNever;
    uint64_t pages = 0;  ///< that were touched
    Volume volume;
    DistanceHistogram returns;  ///< page distances of at least 1
    LoadCounts loads;
    std::vector<Accessor> accessors;
  };
  /// All blocks of one call path. Times a page was touched within several of them, it counts in
  /// each.
  struct PathUse {
    uint64_t ordinal = 0;      ///< allocations, before counts began too
    uint64_t allocations = 0;  ///< since counts began
    uint64_t bytes = 0;        ///< of these
    uint64_t live_bytes = 0;
    uint64_t live_bytes_max = 0;
    uint64_t pages = 0;
    Volume volume;
    LoadCounts loads;
  };

  /// Smaller blocks are not followed. Live blocks in its way have been freed without a word.
  void Allocate(uint64_t address, uint64_t bytes, CallPathIndex path, uint64_t now);
  /// Nothing happens if there is no block that begins at `address`.
  void Free(uint64_t address, uint64_t now);

  /// Of a page.
  struct Owner {
    BlockIndex block = kNoBlock;  ///< kNoBlock: nobody's; the rest means nothing
    CallPathIndex path{};
    uint32_t object = 0;  ///< by position in objects(), or kNoObject
  };
  static constexpr uint32_t kNoObject = UINT32_MAX;
  Owner OwnerOf(uint64_t page) const;
  /// Owners from before the last change are void.
  uint64_t version() const { return version_; }

  // Of accesses to a page of the owner's. Requires: it has a block, and is of this version.

  /// A visit to a page begins; `distance` as ReuseLevel::Touch gives it; `first`: since the page is
  /// this block's and counts began.
  void Touch(const Owner& owner, bool first, uint64_t distance, uint64_t now);
  /// Accesses by one function, the last of them at `now`.
  void Count(const Owner& owner, FunctionIndex function, const Volume& volume, uint64_t now);
  void CountLoads(const Owner& owner, uint32_t memories);

  /// Counts begin anew, at time 0. What is live stays; objects that are not are forgotten.
  void Restart();

  /// Those that are remembered, by index.
  const std::vector<Object>& objects() const { return objects_; }
  /// By CallPathIndex; as many as were needed.
  const std::vector<PathUse>& paths() const { return paths_; }

 private:
  struct Block {
    uint64_t end = 0;
    Owner owner;
  };
  using Blocks = std::map<uint64_t, Block>;  ///< by begin

  Blocks::iterator End(Blocks::iterator block, uint64_t now);
  void EndBetween(uint64_t begin, uint64_t end, uint64_t now);
  bool HasRoom();
  /// Forgets objects; `keeps` says of each whether it stays.
  void Compact(const std::vector<bool>& keeps);
  static void CountAccessor(Object& object, FunctionIndex function, const Volume& volume);

  Blocks live_;  ///< apart from one another
  std::vector<Object> objects_;
  size_t freed_objects_ = 0;
  std::vector<PathUse> paths_;
  uint64_t blocks_ = 0;
  uint64_t version_ = 0;
};

}  // namespace coracle::characterize

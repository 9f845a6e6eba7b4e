// RegionMap: what a program says that parts of its memory hold at present (base/trace_note.h), by
// line. A line that two regions share belongs to the lower one.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "characterize/program/memory_map.h"

namespace coracle::characterize {

struct Region {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  MemoryKind kind = MemoryKind::kUnknown;
};

class RegionMap {
 public:
  /// These take the place of all before. They should lie apart; where they do not, the lower one
  /// counts. O(n log n).
  void Set(const std::vector<Region>& regions);

  /// Lines [first, first + count) that are of one kind, or that no region has.
  struct Stretch {
    uint64_t first = 0;
    uint64_t count = 0;
    MemoryKind kind = MemoryKind::kUnknown;
    bool named = false;  ///< some region has them
  };
  /// The longest around `line`. O(log n).
  Stretch Find(uint64_t line) const;
  bool empty() const { return stretches_.empty(); }

 private:
  std::vector<Stretch> stretches_;  ///< of regions, by their first line, apart from one another
};

}  // namespace coracle::characterize

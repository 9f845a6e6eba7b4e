// LoadTimeline: page loads by window of time, in memories of several sizes. Time is counted in
// accesses, and cut into windows as that of WorkingSet is: into those of the finest length that has
// not had too many of them.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "characterize/analysis/access_volume.h"

namespace coracle::characterize {

class LoadTimeline {
 public:
  /// A load at `now` in the memories whose bits `memories` has. Times do not fall.
  void Add(uint32_t memories, uint64_t now);

  /// Of one memory, in windows of 2^shift accesses, as many as there were loads for. Requires: a
  /// length of WorkingSet's, and that it would not have given it up.
  std::vector<uint64_t> Windows(size_t memory, uint32_t shift) const;

 private:
  void Coarsen();

  size_t length_ = 0;                ///< of WorkingSet::kShifts
  std::vector<LoadCounts> windows_;  ///< of that length
};

}  // namespace coracle::characterize

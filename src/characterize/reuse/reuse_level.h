// ReuseLevel: reuse distances at one granularity, of every granule or of a sample.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "characterize/program/memory_map.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/reuse_stack.h"
#include "characterize/reuse/shards.h"

namespace coracle::characterize {

class ReuseLevel {
 public:
  /// Granules of 2^shift bytes, of which a share `sample_rate` is followed (1: all).
  ReuseLevel(uint32_t shift, double sample_rate);

  /// `count` > 0 consecutive touches of granule `id`. Returns the distance of the first of them; if
  /// only a sample is followed, 0 or kCold.
  uint64_t Touch(uint32_t id, MemoryKind kind, uint64_t count) {
    if (id == last_) {
      again_[static_cast<size_t>(kind)] += count;
      return 0;
    }
    return TouchOther(id, kind, count);
  }
  void Remove(uint32_t id);
  /// Counts begin anew; the stack stays, so that what was touched before is not cold.
  void Restart();

  uint32_t shift() const { return shift_; }
  bool sampled() const { return sample_.has_value(); }
  /// The rate, and how far off the curve may be; 1 and 0 where everything is followed.
  double sample_rate() const { return sample_ ? sample_->rate() : 1; }
  double expected_error() const;
  DistanceHistogram Histogram() const;
  /// Of one kind of memory. Empty if only a sample is followed.
  DistanceHistogram Histogram(MemoryKind kind) const;

 private:
  uint64_t TouchOther(uint32_t id, MemoryKind kind, uint64_t count);
  void SettleSample() const;

  uint32_t shift_;
  uint32_t last_ = UINT32_MAX;  ///< on top of the stack
  ReuseStack stack_;
  std::array<DistanceHistogram, kMemoryKindCount> histograms_;
  mutable std::array<uint64_t, kMemoryKindCount> again_ = {};  ///< touches of distance 0
  mutable std::optional<Shards> sample_;
  std::vector<bool> touched_;  ///< by id; for the sample
};

}  // namespace coracle::characterize

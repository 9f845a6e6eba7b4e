// Shards: the histogram of reuse distances from a sample of the elements, for traces that are too
// long for all of them.
//
// SHARDS (Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC Construction with SHARDS", FAST
// '15): an element is in the sample if the hash of its key is below a threshold, so all of its
// touches are seen or none; distances among samples are too short by the sampling rate, and are
// stretched. With a fixed rate memory grows with the footprint; with a fixed size the threshold
// sinks whenever the sample would outgrow it (section 3.2 there), and what was counted before is
// scaled down.
//
// Two corrections. A sample holds a few more or fewer elements than its rate lets expect: the
// caller knows which touches are an element's first (a bit an element), and the share of those
// that were sampled is the rate that distances are stretched by. And SHARDS-adj (section 4.3
// there): a sample with more or fewer touches than its rate lets expect has hit or missed a very
// hot element, whose distances are short: the difference is added to distance 0.
//
// How far off it may be is measured, not assumed: the two halves of the sample (by another bit of
// the hash) are samples of their own, and differ from one another twice as much as the whole is
// expected to differ from the truth.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "characterize/reuse/dense_ids.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {

class Shards {
 public:
  /// Of the elements a share `rate`, 0 < rate <= 1, and never more than `size_max` of them at once.
  explicit Shards(double rate, uint64_t size_max = UINT64_MAX);

  /// `first`: the element's first touch, or the first after Remove.
  void Touch(uint64_t key, bool first) {
    ++touches_;
    first_touches_ += first ? 1 : 0;
    elements_ += first ? 1 : 0;
    if (HashOf(key) < threshold_) TouchSampled(key);
  }
  /// `count` touches of an element that has just been touched.
  void TouchAgain(uint64_t key, uint64_t count);
  /// The element's next touch is its first again. Requires: it has been touched.
  void Remove(uint64_t key);
  /// Counts begin anew; which elements there are, and the order of their touches, stays.
  void Restart();

  /// Of all touches, estimated. Its weights are not whole.
  DistanceHistogram Histogram() const;
  /// The largest difference that the halves show at any capacity, halved: in units of the miss
  /// ratio.
  double ExpectedError() const;
  /// The sampling rate; with a fixed size, what has become of it.
  double rate() const;
  uint64_t touches() const { return touches_; }
  uint64_t sampled_elements() const { return whole_.ids.count(); }

 private:
  static constexpr uint64_t kModulus = uint64_t{1} << 24;
  static uint64_t HashOf(uint64_t key) { return MixKey(key) >> 40; }

  /// The whole sample or half of it.
  struct Sample {
    DenseIds ids;
    ReuseStack stack;
    DistanceHistogram recent;  ///< distances among samples, since the last Fold
    DistanceHistogram folded;  ///< distances as the rates of their times stretched them
  };
  void TouchSampled(uint64_t key);
  static void Touch(Sample& sample, uint64_t key);
  void RemoveSampled(uint64_t key);
  void LowerThreshold();
  static void Fold(Sample& sample, double rate);
  /// `share`: of the sample's touches that this part has.
  DistanceHistogram Estimate(const Sample& sample, double share) const;

  uint64_t size_max_;
  uint64_t threshold_;         ///< of kModulus
  uint64_t folded_threshold_;  ///< that `recent` was begun with
  uint64_t touches_ = 0;
  uint64_t first_touches_ = 0;
  uint64_t elements_ = 0;  ///< that were touched and not removed since
  bool restarted_ = false;
  Sample whole_;
  std::array<Sample, 2> halves_;
  std::priority_queue<std::pair<uint64_t, uint64_t>> by_hash_;  ///< fixed size: (hash, key)
};

}  // namespace coracle::characterize

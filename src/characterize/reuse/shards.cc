#include "characterize/reuse/shards.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace coracle::characterize {
namespace {

/// Which half of the sample: a bit of the hash that the threshold does not look at.
size_t HalfOf(uint64_t key) { return MixKey(key) & 1; }

}  // namespace

Shards::Shards(double rate, uint64_t size_max) : size_max_(size_max) {
  CORACLE_CHECK(rate > 0 && rate <= 1 && size_max > 0);
  const auto threshold = static_cast<uint64_t>(std::lround(rate * static_cast<double>(kModulus)));
  threshold_ = std::max<uint64_t>(threshold, 1);
  folded_threshold_ = threshold_;
}

double Shards::rate() const {
  return static_cast<double>(threshold_) / static_cast<double>(kModulus);
}

void Shards::Touch(Sample& sample, uint64_t key) {
  const uint32_t id = sample.ids.FindOrAdd(key).id;
  sample.recent.Add(sample.stack.Touch(id));
}

void Shards::TouchSampled(uint64_t key) {
  const uint64_t before = whole_.ids.count();
  Touch(whole_, key);
  Touch(halves_[HalfOf(key)], key);
  if (size_max_ == UINT64_MAX || whole_.ids.count() == before) return;
  by_hash_.emplace(HashOf(key), key);
  if (whole_.ids.count() > size_max_) LowerThreshold();
}

void Shards::TouchAgain(uint64_t key, uint64_t count) {
  touches_ += count;
  if (HashOf(key) >= threshold_ || count == 0) return;
  whole_.recent.Add(0, static_cast<double>(count));
  halves_[HalfOf(key)].recent.Add(0, static_cast<double>(count));
}

void Shards::Remove(uint64_t key) {
  --elements_;
  RemoveSampled(key);
}

void Shards::RemoveSampled(uint64_t key) {
  if (HashOf(key) >= threshold_) return;
  for (Sample* sample : {&whole_, &halves_[HalfOf(key)]}) {
    const uint32_t id = sample->ids.Remove(key);
    if (id != DenseIds::kNone) sample->stack.Remove(id);
  }
}

void Shards::Restart() {
  for (Sample* sample : {&whole_, &halves_[0], &halves_[1]}) {
    sample->recent = {};
    sample->folded = {};
  }
  folded_threshold_ = threshold_;
  touches_ = 0;
  first_touches_ = 0;
  restarted_ = true;
}

void Shards::LowerThreshold() {
  const uint64_t threshold = by_hash_.top().first;
  CORACLE_CHECK(threshold > 0);
  while (!by_hash_.empty() && by_hash_.top().first >= threshold) {
    RemoveSampled(by_hash_.top().second);
    by_hash_.pop();
  }
  const double scale = static_cast<double>(threshold) / static_cast<double>(threshold_);
  // Folding is not cheap, and within so little of a change makes no difference.
  const bool folds = threshold < folded_threshold_ - folded_threshold_ / 128;
  for (Sample* sample : {&whole_, &halves_[0], &halves_[1]}) {
    sample->recent.Scale(scale);
    sample->folded.Scale(scale);
    if (folds) Fold(*sample, rate() * (sample == &whole_ ? 1 : 0.5));
  }
  threshold_ = threshold;
  if (folds) folded_threshold_ = threshold;
}

void Shards::Fold(Sample& sample, double rate) {
  sample.folded.Add(sample.recent.Stretched(1 / rate));
  sample.recent = {};
}

DistanceHistogram Shards::Estimate(const Sample& sample, double share) const {
  Sample now;
  now.folded = sample.folded;
  now.recent = sample.recent;
  const double expected = rate() * share;
  Fold(now, expected);
  // The share of elements that were sampled: of all that ever were, or if the rate changed or the
  // first touches were not counted, of those that there are now.
  const bool one_rate = !restarted_ && (size_max_ == UINT64_MAX || elements_ == 0);
  if (one_rate ? now.folded.cold() <= 0 : sample.ids.count() == 0) return {};
  const double found =
      one_rate ? now.folded.cold() / static_cast<double>(first_touches_)
               : static_cast<double>(sample.ids.count()) / static_cast<double>(elements_);
  DistanceHistogram estimate = now.folded.Stretched(expected / found);
  estimate.Scale(1 / found);
  // May be less than nothing: then distance 0 stands for less than nothing, and the curve beyond is
  // right.
  estimate.Add(0, static_cast<double>(touches_) - estimate.total());
  return estimate;
}

DistanceHistogram Shards::Histogram() const { return Estimate(whole_, 1); }

double Shards::ExpectedError() const {
  const DistanceHistogram a = Estimate(halves_[0], 0.5);
  const DistanceHistogram b = Estimate(halves_[1], 0.5);
  const uint64_t bound = std::max(a.DistanceBound(), b.DistanceBound());
  double largest = 0;
  for (uint64_t capacity = 1; capacity < bound; capacity += capacity / 8 + 1) {
    largest = std::max(largest, std::abs(a.MissRatio(capacity) - b.MissRatio(capacity)));
  }
  return largest / 2;
}

}  // namespace coracle::characterize

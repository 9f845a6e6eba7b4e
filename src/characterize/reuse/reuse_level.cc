#include "characterize/reuse/reuse_level.h"

#include <numeric>

namespace coracle::characterize {

ReuseLevel::ReuseLevel(uint32_t shift, double sample_rate) : shift_(shift) {
  if (sample_rate < 1) sample_.emplace(sample_rate);
}

uint64_t ReuseLevel::TouchOther(uint32_t id, MemoryKind kind, uint64_t count) {
  uint64_t distance = 0;
  if (sample_) {
    SettleSample();
    if (id >= touched_.size()) touched_.resize(size_t{id} + id / 2 + 64);
    sample_->Touch(id, !touched_[id]);
    distance = touched_[id] ? 0 : kCold;
    touched_[id] = true;
  } else {
    distance = stack_.Touch(id);
    histograms_[static_cast<size_t>(kind)].Add(distance);
  }
  last_ = id;
  again_[static_cast<size_t>(kind)] += count - 1;
  return distance;
}

void ReuseLevel::SettleSample() const {
  sample_->TouchAgain(last_, std::accumulate(again_.begin(), again_.end(), uint64_t{0}));
  again_ = {};
}

void ReuseLevel::Remove(uint32_t id) {
  if (sample_) {
    SettleSample();
    if (id >= touched_.size() || !touched_[id]) return;
    touched_[id] = false;
    sample_->Remove(id);
  } else {
    stack_.Remove(id);
  }
  if (id == last_) last_ = UINT32_MAX;
}

void ReuseLevel::Restart() {
  if (sample_) sample_->Restart();
  histograms_ = {};
  again_ = {};
}

double ReuseLevel::expected_error() const { return sample_ ? sample_->ExpectedError() : 0; }

DistanceHistogram ReuseLevel::Histogram() const {
  if (sample_) {
    SettleSample();
    return sample_->Histogram();
  }
  DistanceHistogram all;
  for (size_t i = 0; i < kMemoryKindCount; ++i) all.Add(Histogram(static_cast<MemoryKind>(i)));
  return all;
}

DistanceHistogram ReuseLevel::Histogram(MemoryKind kind) const {
  if (sample_) return {};
  DistanceHistogram histogram = histograms_[static_cast<size_t>(kind)];
  if (const uint64_t again = again_[static_cast<size_t>(kind)]; again != 0) {
    histogram.Add(0, static_cast<double>(again));
  }
  return histogram;
}

}  // namespace coracle::characterize

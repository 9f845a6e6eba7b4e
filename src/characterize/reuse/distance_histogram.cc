#include "characterize/reuse/distance_histogram.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {
namespace {

constexpr uint32_t kOctaveShift = 5;  // 32 buckets an octave
constexpr uint64_t kPerOctave = uint64_t{1} << kOctaveShift;
constexpr uint32_t kSinglesShift = 6;

}  // namespace

uint32_t DistanceHistogram::IndexOf(uint64_t distance) {
  if (distance < kSingles) return static_cast<uint32_t>(distance);
  const uint32_t octave = static_cast<uint32_t>(std::bit_width(distance)) - 1;
  const uint64_t within = (distance >> (octave - kOctaveShift)) - kPerOctave;
  return static_cast<uint32_t>(kSingles + (octave - kSinglesShift) * kPerOctave + within);
}

uint64_t DistanceHistogram::BeginOf(uint32_t index) {
  if (index < kSingles) return index;
  const uint64_t octave = (index - kSingles) / kPerOctave + kSinglesShift;
  const uint64_t within = (index - kSingles) % kPerOctave;
  return (kPerOctave + within) << (octave - kOctaveShift);
}

void DistanceHistogram::AddBeyond(uint64_t distance, double weight) {
  if (distance == kCold) {
    cold_ += weight;
    return;
  }
  const uint32_t index = IndexOf(distance);
  if (index >= weight_.size()) weight_.resize(index + 1);
  weight_[index] += weight;
}

void DistanceHistogram::Add(const DistanceHistogram& other) {
  if (other.weight_.size() > weight_.size()) weight_.resize(other.weight_.size());
  for (size_t i = 0; i < other.weight_.size(); ++i) weight_[i] += other.weight_[i];
  cold_ += other.cold_;
}

void DistanceHistogram::Scale(double by) {
  for (double& weight : weight_) weight *= by;
  cold_ *= by;
}

DistanceHistogram DistanceHistogram::Stretched(double by) const {
  DistanceHistogram out;
  out.Add(kCold, cold_);
  for (const Bucket& bucket : Buckets()) {
    // A distance d stands for those of [d, d + 1) * by. But 0 stays: most are truly 0.
    const auto begin = static_cast<uint64_t>(static_cast<double>(bucket.begin) * by);
    const auto end = static_cast<uint64_t>(static_cast<double>(bucket.end) * by);
    out.AddToBucket(begin, bucket.begin == 0 ? begin + 1 : end, bucket.weight);
  }
  return out;
}

void DistanceHistogram::AddToBucket(uint64_t begin, uint64_t end, double weight) {
  const double width = static_cast<double>(std::max<uint64_t>(end - begin, 1));
  end = std::max(end, begin + 1);
  for (uint64_t at = begin; at < end;) {
    const uint64_t next = std::min(end, BeginOf(IndexOf(at) + 1));
    Add(at, weight * static_cast<double>(next - at) / width);
    at = next;
  }
}

double DistanceHistogram::total() const {
  return std::accumulate(weight_.begin(), weight_.end(), cold_);
}

double DistanceHistogram::Misses(uint64_t capacity) const {
  double misses = cold_;
  for (uint32_t i = IndexOf(capacity); i < weight_.size(); ++i) {
    const uint64_t begin = BeginOf(i);
    const uint64_t end = BeginOf(i + 1);
    const double share =
        capacity <= begin ? 1
                          : static_cast<double>(end - capacity) / static_cast<double>(end - begin);
    misses += weight_[i] * share;
  }
  return misses;
}

double DistanceHistogram::MissRatio(uint64_t capacity) const {
  const double all = total();
  return all > 0 ? std::min(Misses(capacity) / all, 1.0) : 0;
}

uint64_t DistanceHistogram::CapacityFor(double misses) const {
  if (cold_ > misses) return kCold;
  double left = cold_;
  for (size_t i = weight_.size(); i > 0; --i) {
    left += weight_[i - 1];
    if (left > misses) return BeginOf(static_cast<uint32_t>(i));
  }
  return 0;
}

uint64_t DistanceHistogram::DistanceBound() const {
  for (size_t i = weight_.size(); i > 0; --i) {
    if (weight_[i - 1] > 0) return BeginOf(static_cast<uint32_t>(i));
  }
  return 0;
}

std::vector<DistanceHistogram::Bucket> DistanceHistogram::Buckets() const {
  std::vector<Bucket> out;
  for (uint32_t i = 0; i < weight_.size(); ++i) {
    if (weight_[i] > 0) out.push_back({BeginOf(i), BeginOf(i + 1), weight_[i]});
  }
  return out;
}

}  // namespace coracle::characterize

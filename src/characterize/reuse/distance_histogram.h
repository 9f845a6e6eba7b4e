// DistanceHistogram: how many touches have which reuse distance.
//
// Distances below 64 have a bucket each, those above 32 buckets an octave: a bucket is at most
// 1/32 of its distance wide, and every power of two is an edge. What is asked at an edge is exact;
// between edges a bucket counts as spread evenly.
// Weights are doubles: counts stay exact below 2^53, and samples weigh more than one each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace coracle::characterize {

class DistanceHistogram {
 public:
  /// `distance`: kCold (reuse_stack.h) for a first touch.
  void Add(uint64_t distance, double weight = 1) {
    if (distance >= weight_.size()) return AddBeyond(distance, weight);
    // The common case by far: short distances have buckets of their own.
    const size_t index = distance < kSingles ? distance : IndexOf(distance);
    weight_[index] += weight;
  }
  void Add(const DistanceHistogram& other);
  /// Multiplies all weights.
  void Scale(double by);
  /// Multiplies all distances (a sample's are too short by its rate).
  DistanceHistogram Stretched(double by) const;

  double cold() const { return cold_; }
  /// First touches included. O(buckets).
  double total() const;

  /// Touches that an LRU memory of `capacity` elements would miss, first touches included.
  double Misses(uint64_t capacity) const;
  /// Misses / total, at most 1; 0 for nothing.
  double MissRatio(uint64_t capacity) const;
  /// The least capacity at which no more than `misses` are left; kCold if no capacity does it.
  uint64_t CapacityFor(double misses) const;
  /// One more than the largest distance can be: at this capacity only first touches miss.
  uint64_t DistanceBound() const;

  struct Bucket {
    uint64_t begin = 0;  ///< distances [begin, end)
    uint64_t end = 0;
    double weight = 0;
  };
  /// Those with any weight, by distance, without first touches.
  std::vector<Bucket> Buckets() const;

 private:
  static constexpr uint64_t kSingles = 64;  ///< distances below have a bucket each

  void AddBeyond(uint64_t distance, double weight);
  static uint32_t IndexOf(uint64_t distance);
  static uint64_t BeginOf(uint32_t index);
  void AddToBucket(uint64_t begin, uint64_t end, double weight);

  std::vector<double> weight_;  ///< by bucket; as many as were needed
  double cold_ = 0;
};

}  // namespace coracle::characterize

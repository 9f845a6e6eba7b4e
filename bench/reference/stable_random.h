#pragma once

#include <cstdint>

namespace coracle::reference {

/// A stream of pseudo-random numbers that is the same on every machine: integer arithmetic and
/// exact float operations only, no libm. The generator is splitmix64 (Steele, Lea, Flood: Fast
/// Splittable Pseudorandom Number Generators, OOPSLA 2014). Not for secrets.
class StableRandom {
 public:
  explicit StableRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  /// In [low, high).
  float Uniform(float low, float high) {
    constexpr float kStep = 1.0F / (1 << 24);
    return low + (high - low) * (static_cast<float>(Next() >> 40) * kStep);
  }

  /// Mean 0, standard deviation 1, near to normal: the sum of four uniform numbers, each of
  /// variance 1/4.
  float Normal() {
    constexpr float kHalfWidth = 0.8660254F;  // sqrt(3) / 2
    const uint64_t bits = Next();
    float sum = 0;
    for (int lane = 0; lane < 4; ++lane) {
      sum += static_cast<float>((bits >> (16 * lane)) & 0xffff) * (1.0F / 32767.5F) - 1.0F;
    }
    return sum * kHalfWidth;
  }

 private:
  uint64_t state_;
};

}  // namespace coracle::reference

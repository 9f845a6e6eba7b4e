// RateLine: how far a long row of inputs has come, how fast, and how long it will take.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace coracle::cmd {

/// "[#####.....] 512 of 1000, 48.2 a second, 0:10 left". `before`: of `done`, what was done before
/// the seconds began.
std::string RateText(size_t done, size_t total, size_t before, double seconds);

/// On stderr, only where that is a terminal; a few times a second.
class RateLine {
 public:
  RateLine(size_t total, size_t before);
  ~RateLine();
  RateLine(const RateLine&) = delete;
  RateLine& operator=(const RateLine&) = delete;
  /// `done`: with those before.
  void Update(size_t done);

 private:
  using Clock = std::chrono::steady_clock;

  const bool terminal_;
  const size_t total_;
  const size_t before_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_;
  bool visible_ = false;
};

}  // namespace coracle::cmd

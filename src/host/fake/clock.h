// Time that a test moves by hand.
#pragma once

#include <atomic>

#include "host/outside.h"

namespace coracle::host {

/// Threads: any.
class FakeClock final : public Clock {
 public:
  /// Every look at the clock moves it on by `step_ns`.
  explicit FakeClock(uint64_t start_ns = 0, uint64_t step_ns = 0);
  uint64_t NowNanoseconds() override;
  void Advance(uint64_t nanoseconds);

 private:
  std::atomic<uint64_t> now_ns_;
  uint64_t step_ns_;
};

}  // namespace coracle::host

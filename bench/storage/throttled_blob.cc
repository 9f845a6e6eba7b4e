#include "throttled_blob.h"

#include <algorithm>
#include <thread>

namespace coracle::bench {
namespace {

/// A sleeper wakes up to this much late: the rest is waited for awake.
constexpr std::chrono::microseconds kAwake{120};

}  // namespace

host::ReadOutcome ThrottledBlob::Read(uint64_t offset, std::span<std::byte> out) const {
  const std::chrono::nanoseconds takes(
      static_cast<int64_t>(static_cast<double>(out.size()) / gbps_));
  Clock::time_point done;
  {
    const std::lock_guard lock(mutex_);
    free_at_ = std::max(free_at_, Clock::now()) + takes;
    done = free_at_;
  }
  std::ranges::copy(inner_.View(offset, out.size()), out.begin());
  if (done - Clock::now() > kAwake) std::this_thread::sleep_until(done - kAwake);
  while (Clock::now() < done) {
  }
  return host::ReadOutcome::kDelivered;
}

}  // namespace coracle::bench

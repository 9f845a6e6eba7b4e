// ThrottledBlob: a sealed file in memory, read as from storage of a stated rate.
#pragma once

#include <chrono>
#include <mutex>

#include "host/blob.h"

namespace coracle::bench {

/// Read mode. One channel: reads by several workers queue, and each takes its bytes over the rate.
/// Nothing is read ahead. Threads: any.
class ThrottledBlob final : public host::Blob {
 public:
  /// `inner` must be viewable and outlive this.
  ThrottledBlob(const host::Blob& inner, double gbps) : inner_(inner), gbps_(gbps) {}

  host::BlobAccess access() const override { return host::BlobAccess::kRead; }
  uint64_t size() const override { return inner_.size(); }
  Bytes View(uint64_t, uint64_t) const override { return {}; }
  host::ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override;

 private:
  using Clock = std::chrono::steady_clock;

  const host::Blob& inner_;
  const double gbps_;
  mutable std::mutex mutex_;
  mutable Clock::time_point free_at_;  ///< when the channel has delivered all that was asked for
};

}  // namespace coracle::bench

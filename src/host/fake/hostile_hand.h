// A host that changes its memory while we use it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>

namespace coracle::host {

/// As long as it lives, a thread of its own keeps flipping one bit of `memory` and putting back the
/// byte that it found, as fast as it can. The race with whoever uses the memory is deliberate.
class HostileHand {
 public:
  /// Requires: not empty; outlives the hand.
  HostileHand(std::span<std::byte> memory, uint64_t seed);
  ~HostileHand();

  uint64_t flips() const { return flips_.load(std::memory_order_relaxed); }

 private:
  void Mutate(uint64_t seed);

  std::span<std::byte> memory_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> flips_{0};
  std::thread thread_;
};

}  // namespace coracle::host

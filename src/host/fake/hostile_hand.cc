#include "host/fake/hostile_hand.h"

#include "base/check.h"
#include "host/fake/random.h"

namespace coracle::host {

HostileHand::HostileHand(std::span<std::byte> memory, uint64_t seed) : memory_(memory) {
  CORACLE_CHECK(!memory.empty());
  thread_ = std::thread([this, seed] { Mutate(seed); });
}

HostileHand::~HostileHand() {
  stop_.store(true);
  thread_.join();
}

void HostileHand::Mutate(uint64_t seed) {
  SplitMix64 random(seed);
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::atomic_ref<std::byte> target(memory_[random.Below(memory_.size())]);
    const std::byte original = target.load(std::memory_order_relaxed);
    target.store(original ^ static_cast<std::byte>(1U << random.Below(8)),
                 std::memory_order_relaxed);
    // Long enough to be seen, of varying length so that it never beats in step with the user.
    for (uint64_t spins = random.Below(64); spins > 0; --spins) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    target.store(original, std::memory_order_relaxed);
    flips_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace coracle::host

#include "host/fake/mutating_blob.h"

#include <cstring>

#include "host/fake/random.h"

namespace coracle::host {

static_assert(sizeof(std::atomic<std::byte>) == 1);

MutatingBlob::MutatingBlob(std::vector<std::byte> bytes, uint64_t begin, uint64_t end,
                           uint64_t seed)
    : bytes_(bytes.size()), memory_(std::make_unique<std::atomic<std::byte>[]>(bytes.size())) {
  CORACLE_CHECK(begin < end && end <= bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) memory_[i].store(bytes[i], std::memory_order_relaxed);
  mutator_ = std::thread([this, begin, end, seed] { Mutate(begin, end, seed); });
}

MutatingBlob::~MutatingBlob() {
  stop_.store(true);
  mutator_.join();
}

Bytes MutatingBlob::View(uint64_t offset, uint64_t bytes) const {
  CORACLE_CHECK(offset <= bytes_ && bytes <= bytes_ - offset);
  return {reinterpret_cast<const std::byte*>(memory_.get()) + offset, bytes};
}

ReadOutcome MutatingBlob::Read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > bytes_ || out.size() > bytes_ - offset) return ReadOutcome::kFailed;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = memory_[offset + i].load(std::memory_order_relaxed);
  }
  return ReadOutcome::kDelivered;
}

void MutatingBlob::Mutate(uint64_t begin, uint64_t end, uint64_t seed) {
  SplitMix64 random(seed);
  while (!stop_.load(std::memory_order_relaxed)) {
    std::atomic<std::byte>& target = memory_[begin + random.Below(end - begin)];
    const std::byte original = target.load(std::memory_order_relaxed);
    target.store(original ^ static_cast<std::byte>(1U << random.Below(8)),
                 std::memory_order_relaxed);
    // Long enough to be seen, of varying length so that it never beats in step with the reader.
    for (uint64_t spins = random.Below(64); spins > 0; --spins) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    target.store(original, std::memory_order_relaxed);
    flips_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace coracle::host

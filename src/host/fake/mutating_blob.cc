#include "host/fake/mutating_blob.h"

#include <atomic>

#include "base/check.h"

namespace coracle::host {
namespace {

std::span<std::byte> Part(std::span<std::byte> bytes, uint64_t begin, uint64_t end) {
  CORACLE_CHECK(begin < end && end <= bytes.size());
  return bytes.subspan(begin, end - begin);
}

}  // namespace

MutatingBlob::MutatingBlob(std::vector<std::byte> bytes, uint64_t begin, uint64_t end,
                           uint64_t seed)
    : memory_(std::move(bytes)), hand_(Part(memory_, begin, end), seed) {}

Bytes MutatingBlob::View(uint64_t offset, uint64_t bytes) const {
  CORACLE_CHECK(offset <= memory_.size() && bytes <= memory_.size() - offset);
  return {memory_.data() + offset, bytes};
}

ReadOutcome MutatingBlob::Read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > memory_.size() || out.size() > memory_.size() - offset) return ReadOutcome::kFailed;
  for (size_t i = 0; i < out.size(); ++i) {
    // Atomic, so that the race is the host's and not one of the C++ memory model on our side.
    const std::atomic_ref<std::byte> shown(memory_[offset + i]);
    out[i] = shown.load(std::memory_order_relaxed);
  }
  return ReadOutcome::kDelivered;
}

}  // namespace coracle::host

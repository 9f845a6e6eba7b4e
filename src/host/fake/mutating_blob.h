// A host that changes what it shows while it is being read.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "host/blob.h"

namespace coracle::host {

/// A view over bytes of [begin, end) of which a thread of its own keeps flipping one and putting it
/// back, as fast as it can. Code that reads a byte twice sees two values sooner or later.
class MutatingBlob final : public Blob {
 public:
  /// Requires: begin < end <= bytes.size().
  MutatingBlob(std::vector<std::byte> bytes, uint64_t begin, uint64_t end, uint64_t seed);
  ~MutatingBlob() override;

  BlobAccess access() const override { return BlobAccess::kView; }
  uint64_t size() const override { return bytes_; }
  Bytes View(uint64_t offset, uint64_t bytes) const override;
  ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override;

  /// Flips made so far.
  uint64_t flips() const { return flips_.load(std::memory_order_relaxed); }

 private:
  void Mutate(uint64_t begin, uint64_t end, uint64_t seed);

  uint64_t bytes_;
  /// Atomic, so that the race is the host's and not one of the C++ memory model on our side.
  std::unique_ptr<std::atomic<std::byte>[]> memory_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> flips_{0};
  std::thread mutator_;
};

}  // namespace coracle::host

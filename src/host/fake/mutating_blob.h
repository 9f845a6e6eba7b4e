// A host that changes what it shows while it is being read.
#pragma once

#include <cstdint>
#include <vector>

#include "host/blob.h"
#include "host/fake/hostile_hand.h"

namespace coracle::host {

/// A view over bytes of [begin, end) of which a thread of its own keeps flipping one and putting it
/// back, as fast as it can. Code that reads a byte twice sees two values sooner or later.
class MutatingBlob final : public Blob {
 public:
  /// Requires: begin < end <= bytes.size().
  MutatingBlob(std::vector<std::byte> bytes, uint64_t begin, uint64_t end, uint64_t seed);

  BlobAccess access() const override { return BlobAccess::kView; }
  uint64_t size() const override { return memory_.size(); }
  Bytes View(uint64_t offset, uint64_t bytes) const override;
  ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override;

  /// Flips made so far.
  uint64_t flips() const { return hand_.flips(); }

 private:
  mutable std::vector<std::byte> memory_;  // never ours alone: only atomic accesses
  HostileHand hand_;
};

}  // namespace coracle::host

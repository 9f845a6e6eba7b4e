// Secure memory and host memory for tests: the one can be wiped as a fork does, the other is in the
// hands of the test, who plays the host.
#pragma once

#include <vector>

#include "host/outside.h"

namespace coracle::host {

/// Threads: any may reserve; one at a time does.
class FakeMemory final : public Memory {
 public:
  Result<std::unique_ptr<MemoryRegion>> Reserve(uint64_t bytes) override;
  /// Errors: kUnavailable from the call on that RefuseFrom names.
  Result<std::unique_ptr<MemoryRegion>> ReserveForProcess(uint64_t bytes) override;

  /// Call `call` (from 0) of ReserveForProcess and all after it fail.
  void RefuseFrom(uint64_t call) { calls_left_ = call; }
  /// Zeroes all that ReserveForProcess gave and that lives: what the child of a fork sees.
  void WipeAsForkDoes();

 private:
  uint64_t calls_left_ = UINT64_MAX;
  std::vector<std::weak_ptr<std::vector<std::byte>>> for_process_;
};

/// What a host does with the memory that it lends. Threads: one at a time.
class FakeOutsideMemory final : public OutsideMemory {
 public:
  /// Every region is kept until the memory goes, so that the test can look at all of them.
  Result<std::unique_ptr<OutsideRegion>> Reserve(uint64_t bytes) override;

  /// The next Reserve gives `missing` bytes less than it was asked for.
  void CutNext(uint64_t missing) { missing_ = missing; }

  size_t region_count() const { return regions_.size(); }
  /// The bytes of a region, in the order of the calls. Requires: region < region_count().
  std::span<std::byte> bytes(size_t region);

  void Flip(size_t region, uint64_t bit);
  /// Exchanges two pieces of `bytes_each` bytes. Requires: they do not overlap.
  void Swap(size_t region, uint64_t a, uint64_t b, uint64_t bytes_each);
  /// A copy of what a region holds now, to be shown again later by Replay: as a host does that
  /// replays an older version, and one that delays what was written after it.
  std::vector<std::byte> Snapshot(size_t region);
  void Replay(size_t region, uint64_t offset, std::span<const std::byte> older);

 private:
  uint64_t missing_ = 0;
  std::vector<std::shared_ptr<std::vector<std::byte>>> regions_;
};

}  // namespace coracle::host

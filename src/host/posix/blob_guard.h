// When the host cuts a mapped file short, touching what is gone raises SIGBUS. With the guard on,
// the page that is gone reads as zeros instead, so the chunk on it fails authentication and the
// prediction ends with kTampered, like any other change to the file.
//
// A signal handler takes no argument of ours: the table of mapped ranges is process-wide state. It
// is lock-free and holds addresses only.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/bytes.h"

namespace coracle::host {

/// How many mapped blobs may be open at once in a process.
inline constexpr uint32_t kMaxMappedBlobs = 256;

/// Turns the guard on for this process: programs call it once, at their start; a library never
/// does. A SIGBUS outside of every mapped blob does what it did before this call.
/// Errors: kUnavailable.
Status GuardMappedBlobs();

/// One mapped range in the table. Threads: any may take and release; a range must be released
/// before it is unmapped.
class BlobGuardSlot {
 public:
  /// Nothing if the table is full.
  static std::optional<BlobGuardSlot> Take(Bytes mapped);
  BlobGuardSlot(BlobGuardSlot&& other) noexcept : index_(std::exchange(other.index_, kReleased)) {}
  BlobGuardSlot& operator=(BlobGuardSlot&&) = delete;
  ~BlobGuardSlot() { Release(); }
  void Release();

 private:
  static constexpr uint32_t kReleased = kMaxMappedBlobs;
  explicit BlobGuardSlot(uint32_t index) : index_(index) {}

  uint32_t index_;
};

}  // namespace coracle::host

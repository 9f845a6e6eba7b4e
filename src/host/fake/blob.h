// A sealed file in memory, shown by a host that misbehaves once, at a chosen call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/blob.h"

namespace coracle::host {

enum class BlobFault : uint8_t {
  kNone,
  kFail,     ///< delivers nothing and says so (kRead; in kView the bytes read as zeros)
  kShorten,  ///< delivers a part, zeros for the rest, and claims that it was all
  kCorrupt,  ///< flips one bit of what it delivers
  kReplay,   ///< delivers bytes from another place of the file
};
inline constexpr BlobFault kBlobFaults[] = {BlobFault::kFail, BlobFault::kShorten,
                                            BlobFault::kCorrupt, BlobFault::kReplay};

/// What the host does wrong, and when. A test prints ToString() so that a failure can be repeated.
struct BlobFaultPlan {
  BlobFault fault = BlobFault::kNone;
  uint64_t call = 0;  ///< which call of View and Read together, from 0
  uint64_t seed = 0;  ///< chooses the bit, the length or the place
  std::string ToString() const;
};

/// Threads: any. Memory handed out by View lives as long as the blob.
class FakeBlob final : public Blob {
 public:
  FakeBlob(std::vector<std::byte> bytes, BlobAccess access, BlobFaultPlan plan = {});

  BlobAccess access() const override { return access_; }
  uint64_t size() const override { return bytes_.size(); }
  Bytes View(uint64_t offset, uint64_t bytes) const override;
  ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override;

  /// Calls of View and Read so far.
  uint64_t calls() const { return calls_.load(); }

 private:
  ReadOutcome Misbehave(uint64_t offset, std::span<std::byte> out) const;

  std::vector<std::byte> bytes_;
  BlobAccess access_;
  BlobFaultPlan plan_;
  mutable std::atomic<uint64_t> calls_{0};
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<std::vector<std::byte>>> falsified_;  ///< View's copies
};

}  // namespace coracle::host

// Blob: a sealed file as the untrusted host shows it.
//
// Trust: none. The host may change, cut or repeat what it shows at any moment; callers authenticate
// every byte after it has been copied inside. Threads: every method may be called from any worker.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace coracle::host {

/// How ciphertext reaches us (design: "view" or "read").
enum class BlobAccess : uint8_t {
  kView,  ///< host memory that can be read directly: no call while predicting
  kRead,  ///< one call per chunk into memory of ours
};

enum class ReadOutcome : uint8_t { kDelivered, kFailed };

class Blob {
 public:
  virtual ~Blob() = default;

  virtual BlobAccess access() const = 0;
  /// The size when it was opened. The host may have changed it since.
  virtual uint64_t size() const = 0;
  /// kView only: `bytes` bytes at `offset`, which may change under the reader. Requires: in range.
  virtual Bytes View(uint64_t offset, uint64_t bytes) const = 0;
  /// Copies out.size() bytes at `offset`. Allocates nothing. A short or failed read is kFailed.
  virtual ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const = 0;
};

}  // namespace coracle::host

// Opening a sealed model: header, key check, manifest at once; chunks when they are needed.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "host/blob.h"
#include "seal/model.h"

namespace coracle::seal {

/// Opens chunks for one worker. Threads: one at a time. Allocates nothing.
class ChunkOpener {
 public:
  virtual ~ChunkOpener() = default;
  /// Secure memory that coded chunks are decoded with from now on: WeightLayout::DecodingBytes() of
  /// them, 64-byte aligned. It must outlive the opener and is nobody else's; what it held before
  /// does not matter.
  virtual void LendDecodingRoom(std::span<std::byte> room) = 0;
  /// Opens the chunk into `plain` (exactly its plain bytes, 64-byte aligned, secure memory), and
  /// decodes it if it is coded. kTampered: zeroed. Requires: decoding room, if it is coded.
  virtual crypto::Verdict Open(graph::ChunkIndex chunk, std::span<std::byte> plain) = 0;
  /// Where the chunk's ciphertext can be prefetched from; empty in read mode.
  virtual Bytes Ciphertext(graph::ChunkIndex chunk) const = 0;
  /// Calls into the host so far: one per Open in read mode, none in view mode.
  virtual uint64_t host_calls() const = 0;
  /// How many of those the host failed to deliver. To Open they are kTampered like all else.
  virtual uint64_t host_failures() const = 0;
};

/// A sealed model whose manifest has been authenticated, decoded and verified. Immutable; any
/// thread.
class SealedModel {
 public:
  /// Reads header and manifest only. `blob` must outlive the model.
  /// Errors: kMalformed, kUnsupported (before any key is used: magic, version, sizes); kTampered
  /// (everything from the key commitment on, the wrong key and an authentic but invalid manifest
  /// included, with one message); kUnavailable.
  static Result<std::unique_ptr<SealedModel>> Open(const host::Blob& blob,
                                                   const crypto::Key256& owner_key,
                                                   crypto::AeadBackend backend);
  virtual ~SealedModel() = default;

  virtual const Manifest& manifest() const = 0;
  /// SHA-256(header, sealed manifest): the model's identity in attestation.
  virtual const crypto::Digest256& identity() const = 0;
  /// An opener of its own for one worker. Errors: kUnsupported.
  virtual Result<std::unique_ptr<ChunkOpener>> NewOpener() const = 0;
};

/// Opens every chunk and checks file length and padding: what `coracle check` does. `progress` may
/// be null and is called with (chunks done, chunks). Errors: kTampered, kUnavailable.
Status CheckAllChunks(const SealedModel& model,
                      const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace coracle::seal

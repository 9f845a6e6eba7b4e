// Writing a sealed model as a stream: chunks in order, then the manifest, then the header.
#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "host/outside.h"
#include "seal/model.h"

namespace coracle::seal {

/// Where the file goes (cmd/ and tests implement it; a file sink writes a temporary file and
/// renames).
class Sink {
 public:
  virtual ~Sink() = default;
  /// Errors: kUnavailable.
  virtual Status WriteAt(uint64_t offset, Bytes bytes) = 0;
};

class SealedWriter {
 public:
  /// Draws model id and salt from `entropy` (fresh at every seal; there is no option to fix them).
  /// `sink` must outlive the writer. Errors: kUnavailable, kUnsupported.
  static Result<std::unique_ptr<SealedWriter>> Start(Sink& sink, const crypto::Key256& owner_key,
                                                     host::Entropy& entropy,
                                                     crypto::AeadBackend backend);
  virtual ~SealedWriter() = default;
  /// Seals the next chunk: its plain text, or what chunk_coder.h made of it (the manifest's
  /// descriptor says which). A multiple of graph::kChunkAlignment, <= kMaxChunkBytes, in the order
  /// of chunk indices from 0. `text` is overwritten.
  /// Errors: kUnsupported past kMaxChunks; the sink's.
  virtual Status AppendChunk(std::span<std::byte> text) = 0;
  /// Seals the manifest (its `chunks` are filled in here) and writes the header last. It is first
  /// checked as a reader would, so what would not open is refused here with the reason.
  /// Errors: kMalformed, kUnsupported; the sink's.
  virtual Status Finish(Manifest manifest) = 0;
};

}  // namespace coracle::seal

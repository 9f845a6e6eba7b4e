// Coded chunks, the owner's half: a chunk made smaller before it is sealed, if it can be.
// Format: docs/formats/sealed-model.md, Coded chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace coracle::seal {

/// Threads: one at a time.
class ChunkCoder {
 public:
  /// Errors: kUnavailable if there is no memory.
  static Result<std::unique_ptr<ChunkCoder>> Create();
  virtual ~ChunkCoder() = default;
  /// The smallest text found, to be sealed (a multiple of graph::kChunkAlignment); always the same
  /// for the same bytes; nothing if none is smaller than the chunk. Requires: a valid chunk's
  /// length.
  virtual std::optional<std::vector<std::byte>> Code(Bytes plain) = 0;
};

}  // namespace coracle::seal

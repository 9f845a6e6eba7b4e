// Coded chunks, the enclave's half: from the text that was sealed back to the bytes that kernels
// read. Format: docs/formats/sealed-model.md, Coded chunks.
//
// The text has been authenticated, but its owner may be malicious: whatever it holds, decoding
// stays inside of the memory it was given. How long it takes depends on the weights, never on an
// input.
#pragma once

#include <cstdint>
#include <span>

#include "graph/chunk.h"

namespace coracle::seal {

/// A coded text begins with one byte, in how many planes its bytes lie; the frame follows.
inline constexpr uint32_t kCodedPrefixBytes = 1;
inline constexpr uint32_t kBytePlanes = 4;

enum class [[nodiscard]] DecodeOutcome : uint8_t{
    kDecoded,
    kMalformed,  ///< not a coded text of so many plain bytes
};

/// Threads: one at a time. Allocates nothing.
class ChunkDecoder {
 public:
  /// `room`: see ChunkOpener::LendDecodingRoom. It must outlive the decoder.
  explicit ChunkDecoder(std::span<std::byte> room) : room_(room) {}

  /// Where the coded text of a chunk of `plain_bytes` is put for Decode(): `plain_bytes` bytes,
  /// more than it has. Requires: the room is large enough.
  std::span<std::byte> TextRoom(uint32_t plain_bytes) const;

  /// Decodes the first `coded_bytes` bytes of TextRoom(plain.size()) into exactly `plain`. Texts of
  /// several planes are overwritten. kMalformed: anything may be in `plain`.
  DecodeOutcome Decode(uint32_t coded_bytes, std::span<std::byte> plain);

 private:
  const std::span<std::byte> room_;
};

}  // namespace coracle::seal

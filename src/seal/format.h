// The constants and fixed parts of the sealed model: docs/formats/sealed-model.md.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/owner_key.h"
#include "graph/chunk.h"

namespace coracle::seal {

/// What every sealed model begins with.
inline constexpr std::string_view kMagic = "CORACLE\x1a";
inline constexpr uint32_t kHeaderBytes = 128;
inline constexpr uint32_t kFormatVersion = 3;
inline constexpr uint32_t kSuiteAes256GcmHkdfSha256 = 1;
/// Every part of the file starts at a multiple of this.
inline constexpr uint32_t kPartAlignment = 64;
static_assert(kHeaderBytes % kPartAlignment == 0);
static_assert(graph::kChunkAlignment % kPartAlignment == 0);

/// Named limits on what a manifest may hold; the graph's own are in graph/verify.h.
inline constexpr uint32_t kMaxManifestBytes = 16 << 20;
inline constexpr uint32_t kMaxChunks = 1 << 18;
inline constexpr uint32_t kMaxChunksPerNode = 1 << 16;
inline constexpr uint32_t kMaxPorts = 256;
inline constexpr uint32_t kMaxLabels = 100'000;
inline constexpr uint32_t kMaxLabelBytes = 1024;
inline constexpr uint32_t kMaxFreeTextBytes = 1024;
inline constexpr uint32_t kMaxJsonBytes = 1 << 20;

using ModelId = std::array<std::byte, 16>;
using Salt = std::array<std::byte, 32>;
using Commitment = std::array<std::byte, 32>;
using HeaderBytes = std::array<std::byte, kHeaderBytes>;
using ChunkAssociated = std::array<std::byte, 32>;

struct Header {
  ModelId model_id{};
  crypto::KeyId key_id{};
  Salt salt{};
  Commitment commitment{};
  uint64_t manifest_offset = 0;
  uint32_t manifest_bytes = 0;  ///< sealed, the tag not included

  /// The exact length of the file.
  uint64_t FileBytes() const { return manifest_offset + manifest_bytes + crypto::kTagBytes; }
};

HeaderBytes EncodeHeader(const Header& header);

/// Checks everything that can be known without a key, and nothing else.
/// Errors: kMalformed, kUnsupported (another version or suite).
Result<Header> ParseHeader(const HeaderBytes& bytes, uint64_t file_bytes);

/// Errors: kMalformed if a file of `file_bytes` is too short for any sealed model.
Status CheckLeastFileBytes(uint64_t file_bytes);

crypto::Nonce ChunkNonce(graph::ChunkIndex index);
ChunkAssociated AssociatedOfChunk(const ModelId& model_id, graph::ChunkIndex index, uint32_t bytes);

/// The manifest's nonce: its key seals nothing else.
inline constexpr crypto::Nonce kManifestNonce{};

/// The one answer to everything that fails once a key is in use.
Error TamperedModel();

}  // namespace coracle::seal

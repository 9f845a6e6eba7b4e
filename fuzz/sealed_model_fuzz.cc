// Sealed models from two enemies.
//
// First byte 0: the host. The rest is a file as it stands; without the key nothing may open.
// Else: a malicious owner. The rest is a manifest's plain text, which is sealed properly and
// opened: its tag is valid, and it is still not believed. What is accepted encodes to the same
// bytes again.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "host/fake/blob.h"
#include "seal/format.h"
#include "seal/keys.h"
#include "seal/manifest_codec.h"
#include "seal/manifest_sealer.h"
#include "seal/reader.h"

namespace coracle {
namespace {

constexpr auto kBackend = crypto::AeadBackend::kOpenSsl;  // instrumented code around it, not in it
constexpr uint64_t kMaxChunkArea = 1 << 20;

void OpenFile(const std::vector<std::byte>& file) {
  const crypto::Key256 key;
  for (const auto access : {host::BlobAccess::kView, host::BlobAccess::kRead}) {
    const host::FakeBlob blob(file, access);
    const auto model = seal::SealedModel::Open(blob, key, kBackend);
    CORACLE_CHECK(!model.ok());
  }
}

/// A file whose chunks are zeros and whose manifest is `text`, properly sealed.
std::vector<std::byte> SealText(std::vector<std::byte> text, uint64_t chunks_end) {
  const crypto::Key256 owner;
  seal::Header header;
  header.key_id = crypto::OwnerKeyId(owner).value();
  const seal::FileKeys keys = seal::DeriveFileKeys(owner, header.salt, header.model_id).value();
  header.commitment = keys.commitment;
  header.manifest_offset = chunks_end;
  header.manifest_bytes = static_cast<uint32_t>(text.size());
  const seal::HeaderBytes header_bytes = seal::EncodeHeader(header);
  CORACLE_CHECK(seal::SealManifest(keys.manifest, kBackend, header_bytes, text).ok());
  std::vector<std::byte> file(chunks_end);
  std::ranges::copy(header_bytes, file.begin());
  file.insert(file.end(), text.begin(), text.end());
  return file;
}

void OpenSealed(const std::vector<std::byte>& text) {
  const auto decoded = seal::DecodeManifest(text);
  uint64_t chunks_end = seal::kHeaderBytes;
  if (decoded.ok()) {
    CORACLE_CHECK(seal::EncodeManifest(*decoded) == text);
    chunks_end = seal::ChunksEnd(*decoded);
    if (chunks_end > kMaxChunkArea) return;
  }
  const host::FakeBlob blob(SealText(text, chunks_end), host::BlobAccess::kView);
  const crypto::Key256 owner;
  const auto model = seal::SealedModel::Open(blob, owner, kBackend);
  CORACLE_CHECK(model.ok() == decoded.ok());
  if (!model.ok()) {
    CORACLE_CHECK(model.error().code == Code::kTampered);
    return;
  }
  // The chunks are not what any tag was made for.
  const bool no_chunks = (*model)->manifest().chunks.empty();
  CORACLE_CHECK(seal::CheckAllChunks(**model, nullptr).ok() == no_chunks);
}

}  // namespace
}  // namespace coracle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  std::vector<std::byte> text(bytes.begin(), bytes.end());
  if (data[0] == 0) {
    coracle::OpenFile(text);
    return 0;
  }
  // Whole lines of 64, so that mutations reach the grammar and not only the length check.
  text.resize(coracle::RoundUp(std::max<size_t>(text.size(), 1), coracle::seal::kPartAlignment));
  if (text.size() <= coracle::seal::kMaxManifestBytes) coracle::OpenSealed(text);
  return 0;
}

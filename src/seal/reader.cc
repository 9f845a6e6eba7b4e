#include "seal/reader.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/index.h"
#include "seal/chunk_decoder.h"
#include "seal/format.h"
#include "seal/keys.h"
#include "seal/manifest_codec.h"

namespace coracle::seal {
namespace {

Error NotDelivered() {
  return {Code::kUnavailable, "the sealed model cannot be read: the host cut it or withholds it"};
}

/// The host's bytes, copied once; whatever it shows from then on changes nothing here.
Status CopyInside(const host::Blob& blob, uint64_t offset, std::span<std::byte> out) {
  if (blob.access() == host::BlobAccess::kView) {
    std::ranges::copy(blob.View(offset, out.size()), out.begin());
    return {};
  }
  if (blob.Read(offset, out) == host::ReadOutcome::kDelivered) return {};
  return NotDelivered();
}

class BlobChunkOpener final : public ChunkOpener {
 public:
  BlobChunkOpener(const host::Blob& blob, const std::vector<ChunkRecord>& chunks,
                  const ModelId& model_id, std::unique_ptr<crypto::Aead> aead)
      : blob_(blob), chunks_(chunks), model_id_(model_id), aead_(std::move(aead)) {}

  void LendDecodingRoom(std::span<std::byte> room) override { decoder_.emplace(room); }

  crypto::Verdict Open(graph::ChunkIndex chunk, std::span<std::byte> plain) override {
    const ChunkRecord& record = Record(chunk);
    CORACLE_CHECK(plain.size() == record.plain_bytes);
    if (record.bytes == record.plain_bytes) return OpenText(chunk, record, plain);
    CORACLE_CHECK(decoder_.has_value());
    const std::span<std::byte> text = decoder_->TextRoom(record.plain_bytes).first(record.bytes);
    if (OpenText(chunk, record, text) == crypto::Verdict::kAuthentic &&
        decoder_->Decode(record.bytes, plain) == DecodeOutcome::kDecoded) {
      return crypto::Verdict::kAuthentic;
    }
    crypto::WipeMemory(plain);
    return crypto::Verdict::kTampered;
  }

  Bytes Ciphertext(graph::ChunkIndex chunk) const override {
    if (blob_.access() == host::BlobAccess::kRead) return {};
    const ChunkRecord& record = Record(chunk);
    return blob_.View(record.offset, record.bytes);
  }

  uint64_t host_calls() const override { return host_calls_; }
  uint64_t host_failures() const override { return host_failures_; }

 private:
  /// Opens what is sealed, plain or coded.
  crypto::Verdict OpenText(graph::ChunkIndex chunk, const ChunkRecord& record,
                           std::span<std::byte> text) {
    Bytes ciphertext = Ciphertext(chunk);
    if (blob_.access() == host::BlobAccess::kRead) {
      // Read to where it is opened: no second buffer.
      ++host_calls_;
      if (blob_.Read(record.offset, text) != host::ReadOutcome::kDelivered) {
        ++host_failures_;
        crypto::WipeMemory(text);
        return crypto::Verdict::kTampered;
      }
      ciphertext = text;
    }
    const ChunkAssociated associated = AssociatedOfChunk(model_id_, chunk, record.bytes);
    return aead_->Open(ChunkNonce(chunk), associated, ciphertext, record.tag, text);
  }

  const ChunkRecord& Record(graph::ChunkIndex chunk) const {
    CORACLE_CHECK(Position(chunk) < chunks_.size());
    return chunks_[Position(chunk)];
  }

  const host::Blob& blob_;
  const std::vector<ChunkRecord>& chunks_;  ///< the model's, which outlives its openers
  ModelId model_id_;
  std::unique_ptr<crypto::Aead> aead_;
  std::optional<ChunkDecoder> decoder_;
  uint64_t host_calls_ = 0;
  uint64_t host_failures_ = 0;
};

class BlobSealedModel final : public SealedModel {
 public:
  BlobSealedModel(const host::Blob& blob, crypto::AeadBackend backend, const ModelId& model_id,
                  crypto::Key256 chunk_key, const crypto::Digest256& identity, Manifest manifest)
      : blob_(blob),
        backend_(backend),
        model_id_(model_id),
        chunk_key_(std::move(chunk_key)),
        identity_(identity),
        manifest_(std::move(manifest)) {}

  const Manifest& manifest() const override { return manifest_; }
  const crypto::Digest256& identity() const override { return identity_; }
  Result<std::unique_ptr<ChunkOpener>> NewOpener() const override {
    TRY_ASSIGN(std::unique_ptr<crypto::Aead> aead, crypto::MakeAead(backend_, chunk_key_));
    return std::unique_ptr<ChunkOpener>(
        std::make_unique<BlobChunkOpener>(blob_, manifest_.chunks, model_id_, std::move(aead)));
  }

 private:
  const host::Blob& blob_;
  crypto::AeadBackend backend_;
  ModelId model_id_;
  crypto::Key256 chunk_key_;
  crypto::Digest256 identity_;
  Manifest manifest_;
};

/// The keys, once the header's commitment shows that they are this file's.
Result<FileKeys> KeysFor(const Header& header, const crypto::Key256& owner_key) {
  TRY_ASSIGN(FileKeys keys, DeriveFileKeys(owner_key, header.salt, header.model_id));
  if (!crypto::EqualConstantTime(keys.commitment, header.commitment)) return TamperedModel();
  TRY_ASSIGN(const crypto::KeyId key_id, crypto::OwnerKeyId(owner_key));
  if (!crypto::EqualConstantTime(key_id, header.key_id)) return TamperedModel();
  return keys;
}

/// Opens the sealed manifest, which has been copied inside, where it lies.
Result<Manifest> OpenManifest(const crypto::Key256& key, crypto::AeadBackend backend,
                              const HeaderBytes& header_bytes, std::span<std::byte> sealed) {
  TRY_ASSIGN(const std::unique_ptr<crypto::Aead> aead, crypto::MakeAead(backend, key));
  const std::span<std::byte> text = sealed.first(sealed.size() - crypto::kTagBytes);
  crypto::Tag tag{};
  std::ranges::copy(sealed.last(crypto::kTagBytes), tag.begin());
  if (aead->Open(kManifestNonce, header_bytes, text, tag, text) != crypto::Verdict::kAuthentic) {
    return TamperedModel();
  }
  Result<Manifest> manifest = DecodeManifest(text);
  crypto::WipeMemory(text);
  // Authentic yet invalid: the writer tells an honest owner why. Here there is one answer.
  if (!manifest.ok()) return TamperedModel();
  return manifest;
}

}  // namespace

Result<std::unique_ptr<SealedModel>> SealedModel::Open(const host::Blob& blob,
                                                       const crypto::Key256& owner_key,
                                                       crypto::AeadBackend backend) {
  TRY(CheckLeastFileBytes(blob.size()));
  HeaderBytes header_bytes{};
  TRY(CopyInside(blob, 0, header_bytes));
  TRY_ASSIGN(const Header header, ParseHeader(header_bytes, blob.size()));
  TRY_ASSIGN(FileKeys keys, KeysFor(header, owner_key));

  std::vector<std::byte> sealed(header.manifest_bytes + crypto::kTagBytes);
  TRY(CopyInside(blob, header.manifest_offset, sealed));
  TRY_ASSIGN(const crypto::Digest256 identity, crypto::Sha256(header_bytes, sealed));
  TRY_ASSIGN(Manifest manifest, OpenManifest(keys.manifest, backend, header_bytes, sealed));
  if (ChunksEnd(manifest) != header.manifest_offset) return TamperedModel();
  return std::unique_ptr<SealedModel>(std::make_unique<BlobSealedModel>(
      blob, backend, header.model_id, std::move(keys.chunks), identity, std::move(manifest)));
}

Status CheckAllChunks(const SealedModel& model,
                      const std::function<void(uint64_t done, uint64_t total)>& progress) {
  struct alignas(graph::kChunkAlignment) Line {
    std::byte bytes[graph::kChunkAlignment];
  };
  constexpr uint32_t kRoomBytes = graph::kDecoderContextBytes + graph::kMaxChunkBytes;
  std::vector<Line> lines((graph::kMaxChunkBytes + kRoomBytes) / sizeof(Line));
  const std::span<std::byte> memory = std::as_writable_bytes(std::span(lines));
  const std::span<std::byte> slot = memory.first(graph::kMaxChunkBytes);
  TRY_ASSIGN(const std::unique_ptr<ChunkOpener> opener, model.NewOpener());
  opener->LendDecodingRoom(memory.subspan(slot.size()));
  const std::vector<ChunkRecord>& chunks = model.manifest().chunks;
  Status status;
  for (uint64_t i = 0; i < chunks.size() && status.ok(); ++i) {
    const auto index = static_cast<graph::ChunkIndex>(i);
    if (opener->Open(index, slot.first(chunks[i].plain_bytes)) != crypto::Verdict::kAuthentic) {
      status = TamperedModel();
    } else if (progress) {
      progress(i + 1, chunks.size());
    }
  }
  crypto::WipeMemory(memory);
  if (opener->host_failures() > 0) return NotDelivered();
  return status;
}

}  // namespace coracle::seal

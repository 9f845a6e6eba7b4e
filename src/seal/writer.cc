#include "seal/writer.h"

#include <vector>

#include "base/index.h"
#include "seal/format.h"
#include "seal/keys.h"
#include "seal/manifest_codec.h"
#include "seal/manifest_sealer.h"

namespace coracle::seal {
namespace {

class StreamingWriter final : public SealedWriter {
 public:
  StreamingWriter(Sink& sink, const Header& header, FileKeys keys, crypto::AeadBackend backend,
                  std::unique_ptr<crypto::Aead> chunk_aead)
      : sink_(sink),
        header_(header),
        keys_(std::move(keys)),
        backend_(backend),
        chunk_aead_(std::move(chunk_aead)) {}

  Status AppendChunk(std::span<std::byte> text) override {
    CORACLE_CHECK(!finished_);
    CORACLE_CHECK(!text.empty() && text.size() <= graph::kMaxChunkBytes &&
                  text.size() % graph::kChunkAlignment == 0);
    if (chunks_.size() == kMaxChunks) {
      return Error{Code::kUnsupported,
                   "a sealed model holds at most " + std::to_string(kMaxChunks) + " chunks"};
    }
    const auto index = static_cast<graph::ChunkIndex>(chunks_.size());
    ChunkRecord record{.offset = end_, .bytes = static_cast<uint32_t>(text.size())};
    chunk_aead_->Seal(ChunkNonce(index), AssociatedOfChunk(header_.model_id, index, record.bytes),
                      text, text, record.tag);
    TRY(sink_.WriteAt(record.offset, text));
    chunks_.push_back(record);
    end_ += record.bytes;
    return {};
  }

  Status Finish(Manifest manifest) override {
    CORACLE_CHECK(!finished_);
    finished_ = true;  // a nonce never serves twice, whatever fails below
    manifest.chunks = std::move(chunks_);
    std::vector<std::byte> text = EncodeManifest(manifest);
    TRY(DecodeManifest(text));
    header_.manifest_offset = end_;
    header_.manifest_bytes = static_cast<uint32_t>(text.size());
    const HeaderBytes header_bytes = EncodeHeader(header_);
    TRY(SealManifest(keys_.manifest, backend_, header_bytes, text));
    TRY(sink_.WriteAt(end_, text));
    // Last: until it is there, the file does not even begin like a sealed model.
    return sink_.WriteAt(0, header_bytes);
  }

 private:
  Sink& sink_;
  Header header_;
  FileKeys keys_;
  crypto::AeadBackend backend_;
  std::unique_ptr<crypto::Aead> chunk_aead_;
  std::vector<ChunkRecord> chunks_;
  uint64_t end_ = kHeaderBytes;
  bool finished_ = false;
};

}  // namespace

Result<std::unique_ptr<SealedWriter>> SealedWriter::Start(Sink& sink,
                                                          const crypto::Key256& owner_key,
                                                          host::Entropy& entropy,
                                                          crypto::AeadBackend backend) {
  Header header;
  TRY(entropy.Fill(header.model_id));
  TRY(entropy.Fill(header.salt));
  TRY_ASSIGN(header.key_id, crypto::OwnerKeyId(owner_key));
  TRY_ASSIGN(FileKeys keys, DeriveFileKeys(owner_key, header.salt, header.model_id));
  header.commitment = keys.commitment;
  TRY_ASSIGN(std::unique_ptr<crypto::Aead> aead, crypto::MakeAead(backend, keys.chunks));
  return std::unique_ptr<SealedWriter>(
      std::make_unique<StreamingWriter>(sink, header, std::move(keys), backend, std::move(aead)));
}

}  // namespace coracle::seal

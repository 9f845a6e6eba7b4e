#include "seal/format.h"

#include <algorithm>
#include <string_view>

#include "base/index.h"

namespace coracle::seal {
namespace {

constexpr uint32_t kChunkKindWeights = 1;

/// Writes fixed-size fields one behind the other.
class FieldWriter {
 public:
  explicit FieldWriter(std::span<std::byte> out) : out_(out) {}
  void Raw(Bytes bytes) {
    std::ranges::copy(bytes, out_.begin());
    out_ = out_.subspan(bytes.size());
  }
  template <typename T>
  void Little(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) out_[i] = static_cast<std::byte>(value >> (8 * i));
    out_ = out_.subspan(sizeof(T));
  }

 private:
  std::span<std::byte> out_;
};

template <size_t N>
Result<std::array<std::byte, N>> TakeArray(ByteReader& reader) {
  TRY_ASSIGN(const Bytes bytes, reader.Take(N));
  std::array<std::byte, N> array{};
  std::ranges::copy(bytes, array.begin());
  return array;
}

Error Malformed(const std::string& why) {
  return {Code::kMalformed, "not a whole sealed model: " + why};
}

Status CheckPlaces(uint64_t offset, uint64_t manifest_bytes, uint64_t file_bytes) {
  if (offset < kHeaderBytes || offset % kPartAlignment != 0) {
    return Malformed("its manifest offset is impossible");
  }
  if (manifest_bytes == 0 || manifest_bytes > kMaxManifestBytes ||
      manifest_bytes % kPartAlignment != 0) {
    return Malformed("its manifest length is impossible");
  }
  // No sum that could overflow: the manifest and its tag end the file.
  if (file_bytes < manifest_bytes + crypto::kTagBytes ||
      offset != file_bytes - manifest_bytes - crypto::kTagBytes) {
    return Malformed("its length is not what its header says, so it was cut or added to");
  }
  return {};
}

}  // namespace

HeaderBytes EncodeHeader(const Header& header) {
  HeaderBytes bytes{};
  FieldWriter out(bytes);
  out.Raw(std::as_bytes(std::span(kMagic)));
  out.Little(kFormatVersion);
  out.Little(kSuiteAes256GcmHkdfSha256);
  out.Raw(header.model_id);
  out.Raw(header.key_id);
  out.Raw(header.salt);
  out.Raw(header.commitment);
  out.Little(header.manifest_offset);
  out.Little(uint64_t{header.manifest_bytes});
  return bytes;
}

Status CheckLeastFileBytes(uint64_t file_bytes) {
  if (file_bytes < kHeaderBytes + kPartAlignment + crypto::kTagBytes) {
    return Malformed("it has only " + std::to_string(file_bytes) + " bytes");
  }
  return {};
}

Result<Header> ParseHeader(const HeaderBytes& bytes, uint64_t file_bytes) {
  TRY(CheckLeastFileBytes(file_bytes));
  ByteReader reader(bytes, "sealed model header");
  TRY_ASSIGN(const Bytes magic, reader.Take(kMagic.size()));
  if (!std::ranges::equal(magic, std::as_bytes(std::span(kMagic)))) {
    return Malformed("it does not start with a sealed model's magic bytes");
  }
  TRY_ASSIGN(const uint32_t version, reader.U32());
  TRY_ASSIGN(const uint32_t suite, reader.U32());
  if (version != kFormatVersion || suite != kSuiteAes256GcmHkdfSha256) {
    return Error{Code::kUnsupported,
                 "this sealed model has format version " + std::to_string(version) + ", suite " +
                     std::to_string(suite) + "; this program opens version " +
                     std::to_string(kFormatVersion) + ", suite 1: seal it again"};
  }
  Header header;
  TRY_ASSIGN(header.model_id, TakeArray<16>(reader));
  TRY_ASSIGN(header.key_id, TakeArray<crypto::kKeyIdBytes>(reader));
  TRY_ASSIGN(header.salt, TakeArray<32>(reader));
  TRY_ASSIGN(header.commitment, TakeArray<32>(reader));
  TRY_ASSIGN(header.manifest_offset, reader.U64());
  TRY_ASSIGN(const uint64_t manifest_bytes, reader.U64());
  TRY(reader.ExpectEnd());
  TRY(CheckPlaces(header.manifest_offset, manifest_bytes, file_bytes));
  header.manifest_bytes = static_cast<uint32_t>(manifest_bytes);
  return header;
}

crypto::Nonce ChunkNonce(graph::ChunkIndex index) {
  crypto::Nonce nonce{};
  FieldWriter out(nonce);
  out.Little(uint64_t{Position(index)});
  return nonce;
}

ChunkAssociated AssociatedOfChunk(const ModelId& model_id, graph::ChunkIndex index,
                                  uint32_t bytes) {
  ChunkAssociated associated{};
  FieldWriter out(associated);
  out.Raw(model_id);
  out.Little(static_cast<uint32_t>(index));
  out.Little(bytes);
  out.Little(kChunkKindWeights);
  return associated;
}

Error TamperedModel() {
  return {Code::kTampered,
          "the sealed model does not verify: it was changed, or the key is another file's"};
}

}  // namespace coracle::seal

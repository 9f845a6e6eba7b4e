#include "seal/manifest_codec.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "seal/manifest_fields.h"
#include "seal/text.h"

namespace coracle::seal {
namespace {

class Encoder {
 public:
  static constexpr bool kDecodes = false;

  Status U8(uint8_t value) { return (out_.U8(value), Status()); }
  Status U32(uint32_t value) { return (out_.U32(value), Status()); }
  Status F32(float value) { return (out_.F32(value), Status()); }
  template <typename E>
  Status Enum(E value, uint8_t) {
    return (out_.U8(static_cast<uint8_t>(value)), Status());
  }
  template <typename E>
  Status Index(E index) {
    return U32(static_cast<uint32_t>(index));
  }
  Status Text(const std::string& text, uint32_t) { return (out_.String(text), Status()); }
  Status Raw(const crypto::Tag& tag) { return (out_.Raw(tag), Status()); }
  Status Dimensions(const Shape& shape) {
    out_.U8(static_cast<uint8_t>(shape.rank()));
    for (const uint32_t dim : shape.dims()) out_.U32(dim);
    return {};
  }
  Status NumberList(const std::vector<uint32_t>& list, uint32_t) {
    Count(list);
    for (const uint32_t number : list) out_.U32(number);
    return {};
  }
  Status NumberList(const std::vector<int64_t>& list, uint32_t) {
    Count(list);
    for (const int64_t number : list) out_.U64(static_cast<uint64_t>(number));
    return {};
  }
  Status IndexList(const std::vector<graph::TensorIndex>& list, uint32_t) {
    Count(list);
    for (const graph::TensorIndex index : list) TRY(Index(index));
    return {};
  }
  Status TextList(const std::vector<std::string>& list, uint32_t, uint32_t) {
    Count(list);
    for (const std::string& text : list) out_.String(text);
    return {};
  }
  template <typename T>
  Status RecordList(const std::vector<T>& list, uint32_t, uint32_t) {
    Count(list);
    for (const T& record : list) TRY(Fields(*this, record));
    return {};
  }
  Status Operator(const graph::Attributes& attrs) {
    out_.U8(static_cast<uint8_t>(attrs.index()));
    return std::visit([this](const auto& op) { return Fields(*this, op); }, attrs);
  }

  std::vector<std::byte> Padded() {
    std::vector<std::byte> bytes = out_.Release();
    bytes.resize(RoundUp(bytes.size(), kPartAlignment));
    return bytes;
  }

 private:
  template <typename T>
  void Count(const std::vector<T>& list) {
    out_.U32(static_cast<uint32_t>(list.size()));
  }

  ByteWriter out_;
};

class Decoder {
 public:
  static constexpr bool kDecodes = true;

  explicit Decoder(Bytes bytes) : in_(bytes, "manifest") {}

  Status U8(uint8_t& value) {
    TRY_ASSIGN(value, in_.U8());
    return {};
  }
  Status U32(uint32_t& value) {
    TRY_ASSIGN(value, in_.U32());
    return {};
  }
  Status F32(float& value) {
    TRY_ASSIGN(value, in_.F32());
    if (std::isnan(value)) return Wrong("a NaN");
    return {};
  }
  template <typename E>
  Status Enum(E& value, uint8_t count) {
    TRY_ASSIGN(const uint8_t number, in_.U8());
    if (number >= count) return Wrong("an enumerator that does not exist");
    value = static_cast<E>(number);
    return {};
  }
  template <typename E>
  Status Index(E& index) {
    TRY_ASSIGN(const uint32_t number, in_.U32());
    index = static_cast<E>(number);
    return {};
  }
  Status Text(std::string& text, uint32_t limit) {
    TRY_ASSIGN(text, in_.String(limit));
    if (!IsPrintableUtf8(text)) return Wrong("text that is not UTF-8 or has control characters");
    return {};
  }
  Status Raw(crypto::Tag& tag) {
    TRY_ASSIGN(const Bytes bytes, in_.Take(tag.size()));
    std::ranges::copy(bytes, tag.begin());
    return {};
  }
  Status Dimensions(Shape& shape) {
    TRY_ASSIGN(const uint8_t rank, in_.U8());
    if (rank > kMaxRank) return Wrong("a shape of too many dimensions");
    for (uint8_t axis = 0; axis < rank; ++axis) {
      TRY_ASSIGN(const uint32_t dim, in_.U32());
      shape.Append(dim);
    }
    return {};
  }
  Status NumberList(std::vector<uint32_t>& list, uint32_t limit) {
    TRY(Resize(list, limit, sizeof(uint32_t)));
    for (uint32_t& number : list) TRY(U32(number));
    return {};
  }
  Status NumberList(std::vector<int64_t>& list, uint32_t limit) {
    TRY(Resize(list, limit, sizeof(int64_t)));
    for (int64_t& number : list) {
      TRY_ASSIGN(const uint64_t bits, in_.U64());
      number = static_cast<int64_t>(bits);
    }
    return {};
  }
  Status IndexList(std::vector<graph::TensorIndex>& list, uint32_t limit) {
    TRY(Resize(list, limit, sizeof(uint32_t)));
    for (graph::TensorIndex& index : list) TRY(Index(index));
    return {};
  }
  Status TextList(std::vector<std::string>& list, uint32_t limit, uint32_t limit_bytes) {
    TRY(Resize(list, limit, sizeof(uint32_t)));
    for (std::string& text : list) TRY(Text(text, limit_bytes));
    return {};
  }
  template <typename T>
  Status RecordList(std::vector<T>& list, uint32_t limit, uint32_t element_bytes) {
    TRY(Resize(list, limit, element_bytes));
    for (T& record : list) TRY(Fields(*this, record));
    return {};
  }
  Status Operator(graph::Attributes& attrs) {
    TRY_ASSIGN(const uint8_t number, in_.U8());
    return OperatorFrom<0>(number, attrs);
  }

  /// The rest is zeros, as many as Encoder::Padded adds.
  Status Padding() {
    if (in_.remaining() >= kPartAlignment) return Wrong("bytes that belong to nothing");
    TRY_ASSIGN(const Bytes rest, in_.Take(in_.remaining()));
    if (std::ranges::any_of(rest, [](std::byte byte) { return byte != std::byte{0}; })) {
      return Wrong("padding that is not zero");
    }
    return {};
  }

 private:
  template <size_t I>
  Status OperatorFrom(uint8_t number, graph::Attributes& attrs) {
    if constexpr (I == graph::kOpKindCount) {
      return Wrong("an operator that does not exist");
    } else {
      if (number == I) return Fields(*this, attrs.emplace<I>());
      return OperatorFrom<I + 1>(number, attrs);
    }
  }
  template <typename T>
  Status Resize(std::vector<T>& list, uint32_t limit, uint64_t element_bytes) {
    TRY_ASSIGN(const uint32_t count, in_.Count(limit, element_bytes));
    list.resize(count);
    return {};
  }
  Error Wrong(const char* what) const {
    return {Code::kMalformed,
            "manifest: " + std::string(what) + " before byte " + std::to_string(in_.position())};
  }

  ByteReader in_;
};

/// Lengths within limits; offsets filled in.
Status PlaceChunks(std::vector<ChunkRecord>& chunks) {
  uint64_t offset = kHeaderBytes;
  for (size_t i = 0; i < chunks.size(); ++i) {
    ChunkRecord& record = chunks[i];
    if (record.bytes == 0 || record.bytes > graph::kMaxChunkBytes ||
        record.bytes % graph::kChunkAlignment != 0) {
      return Error{Code::kMalformed, "manifest: chunk " + std::to_string(i) + " has " +
                                         std::to_string(record.bytes) + " bytes"};
    }
    record.offset = offset;
    offset += record.bytes;  // at most 2^18 of 2^18 bytes
  }
  return {};
}

/// Lengths of an open chunk and, if it is coded, of what is sealed.
bool HasValidLengths(const graph::ChunkDescriptor& chunk) {
  return chunk.bytes > 0 && chunk.bytes <= graph::kMaxChunkBytes &&
         chunk.bytes % graph::kChunkAlignment == 0 && chunk.coded_bytes < chunk.bytes;
}

/// Every descriptor names a chunk of its length, and every chunk is named. Fills in plain lengths.
Status CheckDescriptors(Manifest& manifest) {
  std::vector<bool> named(manifest.chunks.size(), false);
  for (const graph::Node& node : manifest.graph.nodes) {
    for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
      const size_t position = Position(chunk.index);
      const bool fits = position < named.size() && HasValidLengths(chunk) &&
                        manifest.chunks[position].bytes == chunk.SealedBytes();
      if (!fits) {
        return Error{Code::kMalformed, "manifest: node '" + node.name + "' names chunk " +
                                           std::to_string(position) +
                                           ", which is not in the chunk table with this length"};
      }
      named[position] = true;
      manifest.chunks[position].plain_bytes = chunk.bytes;
    }
  }
  const auto unnamed = std::ranges::find(named, false);
  if (unnamed == named.end()) return {};
  return Error{Code::kMalformed, "manifest: chunk " + std::to_string(unnamed - named.begin()) +
                                     " belongs to no node"};
}

}  // namespace

std::vector<std::byte> EncodeManifest(const Manifest& manifest) {
  Encoder encoder;
  CORACLE_CHECK(Fields(encoder, manifest).ok());
  return encoder.Padded();
}

Result<Manifest> DecodeManifest(Bytes plain) {
  if (plain.size() > kMaxManifestBytes) {
    return Error{Code::kUnsupported, "manifest: " + std::to_string(plain.size()) +
                                         " bytes, at most " + std::to_string(kMaxManifestBytes)};
  }
  if (plain.size() % kPartAlignment != 0) {
    return Error{Code::kMalformed, "manifest: its length is not a multiple of 64"};
  }
  Decoder decoder(plain);
  Manifest manifest;
  TRY(Fields(decoder, manifest));
  TRY(decoder.Padding());
  if (manifest.graph.stage != graph::Stage::kRows) {
    return Error{Code::kMalformed, "manifest: its graph has not been lowered to rows"};
  }
  TRY(PlaceChunks(manifest.chunks));
  TRY(CheckDescriptors(manifest));
  TRY(graph::Verify(manifest.graph));
  return manifest;
}

uint64_t ChunksEnd(const Manifest& manifest) {
  if (manifest.chunks.empty()) return kHeaderBytes;
  return manifest.chunks.back().offset + manifest.chunks.back().bytes;
}

}  // namespace coracle::seal

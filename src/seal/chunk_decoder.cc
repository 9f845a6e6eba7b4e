#include "seal/chunk_decoder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

// The static interface: a context in memory of ours.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

namespace coracle::seal {
namespace {

static_assert(kBytePlanes == 4);

constexpr std::array kMagic = {std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f}, std::byte{0xfd}};

/// The only frame header that is taken (RFC 8878, 3.1.1.1): one segment, no checksum, no
/// dictionary. Other magic numbers would reach the library's decoders of long gone formats.
bool IsPlainFrame(std::span<const std::byte> frame) {
  if (frame.size() <= kMagic.size() || !std::ranges::equal(frame.first(kMagic.size()), kMagic)) {
    return false;
  }
  constexpr unsigned kSizeFlag = 0xc0;
  constexpr unsigned kSingleSegment = 0x20;
  return (static_cast<unsigned>(frame[kMagic.size()]) & ~kSizeFlag) == kSingleSegment;
}

/// Byte p of the i-th four is byte i of plane p. Written out, so that compilers make vectors of it.
void JoinPlanes(const std::byte* planes, std::span<std::byte> plain) {
  const size_t count = plain.size() / kBytePlanes;
  const std::byte* const first = planes;
  const std::byte* const second = first + count;
  const std::byte* const third = second + count;
  const std::byte* const fourth = third + count;
  std::byte* const out = plain.data();
  for (size_t i = 0; i < count; ++i) {
    out[4 * i] = first[i];
    out[4 * i + 1] = second[i];
    out[4 * i + 2] = third[i];
    out[4 * i + 3] = fourth[i];
  }
}

}  // namespace

std::span<std::byte> ChunkDecoder::TextRoom(uint32_t plain_bytes) const {
  CORACLE_CHECK(room_.size() >= graph::kDecoderContextBytes + plain_bytes);
  return room_.subspan(graph::kDecoderContextBytes, plain_bytes);
}

DecodeOutcome ChunkDecoder::Decode(uint32_t coded_bytes, std::span<std::byte> plain) {
  const std::span<std::byte> room = TextRoom(static_cast<uint32_t>(plain.size()));
  const std::span<const std::byte> text = room.first(coded_bytes);
  if (text.size() <= kCodedPrefixBytes) return DecodeOutcome::kMalformed;
  const bool planes = text[0] == std::byte{kBytePlanes};
  if (!planes && text[0] != std::byte{1}) return DecodeOutcome::kMalformed;

  const std::span<const std::byte> frame = text.subspan(kCodedPrefixBytes);
  if (!IsPlainFrame(frame)) return DecodeOutcome::kMalformed;
  const size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(frame_bytes) != 0 || frame_bytes > frame.size() ||
      ZSTD_getFrameContentSize(frame.data(), frame_bytes) != plain.size()) {
    return DecodeOutcome::kMalformed;
  }
  const std::span<const std::byte> padding = frame.subspan(frame_bytes);
  if (padding.size() >= graph::kChunkAlignment ||
      std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; })) {
    return DecodeOutcome::kMalformed;
  }
  // Set up anew for each chunk: nothing that one leaves behind reaches the next.
  ZSTD_DCtx* const context = ZSTD_initStaticDCtx(room_.data(), graph::kDecoderContextBytes);
  CORACLE_CHECK(context != nullptr);
  const size_t decoded =
      ZSTD_decompressDCtx(context, plain.data(), plain.size(), frame.data(), frame_bytes);
  if (ZSTD_isError(decoded) != 0 || decoded != plain.size()) return DecodeOutcome::kMalformed;
  if (planes) {
    std::memcpy(room.data(), plain.data(), plain.size());
    JoinPlanes(room.data(), plain);
  }
  return DecodeOutcome::kDecoded;
}

}  // namespace coracle::seal

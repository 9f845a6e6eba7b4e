#include "runtime/decode_sample.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "seal/chunk_decoder.h"

namespace coracle::runtime {
namespace {

// RFC 8878: one frame of one compressed block, whose literals are four streams of one Huffman code
// and whose sequences are none.
constexpr uint32_t kCodeBits = 7;
constexpr uint32_t kStreamBytes = DecodeSample::kBytes / 4 * kCodeBits / 8 + 1;
/// 127 weights of 1, two in a byte; that of the last symbol follows from them.
constexpr uint32_t kListedWeights = 127;
constexpr uint32_t kWeightBytes = 1 + (kListedWeights + 1) / 2;
constexpr uint32_t kJumpBytes = 6;
constexpr uint32_t kLiteralBytes = kWeightBytes + kJumpBytes + 4 * kStreamBytes;
constexpr uint32_t kLiteralHeaderBytes = 5;
constexpr uint32_t kBlockBytes = kLiteralHeaderBytes + kLiteralBytes + 1;

class TextWriter {
 public:
  explicit TextWriter(std::span<std::byte> out) : out_(out) {}
  void Little(uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; ++i) {
      out_[written_++] = static_cast<std::byte>(value >> (8 * i));
    }
  }
  void Repeat(uint8_t value, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) Little(value, 1);
  }
  uint32_t written() const { return written_; }

 private:
  std::span<std::byte> out_;
  uint32_t written_ = 0;
};

uint32_t WriteSample(std::span<std::byte> out) {
  TextWriter text(out);
  text.Little(1, seal::kCodedPrefixBytes);
  text.Little(0xFD2FB528, 4);
  text.Little(0x60, 1);  // one segment; its length, less 256, in two bytes
  text.Little(DecodeSample::kBytes - 256, 2);
  constexpr uint32_t kLastCompressed = 1 | 2 << 1;
  text.Little(kLastCompressed | kBlockBytes << 3, 3);
  constexpr uint64_t kFourLongStreams = 2 | 3 << 2;
  text.Little(
      kFourLongStreams | uint64_t{DecodeSample::kBytes} << 4 | uint64_t{kLiteralBytes} << 22,
      kLiteralHeaderBytes);
  text.Little(kListedWeights + 127, 1);
  text.Repeat(0x11, kWeightBytes - 1);
  for (int i = 0; i < 3; ++i) text.Little(kStreamBytes, 2);
  uint32_t bits = 1;
  for (int stream = 0; stream < 4; ++stream) {
    for (uint32_t i = 0; i + 1 < kStreamBytes; ++i) {
      bits = bits * 1664525 + 1013904223;  // any will do
      text.Little(bits >> 24, 1);
    }
    text.Little(1, 1);  // where the stream's bits begin, read from its end
  }
  text.Little(0, 1);
  return text.written();
}

}  // namespace

DecodeSample::DecodeSample() : lines_((2 * kBytes + graph::kDecoderContextBytes) / sizeof(Line)) {}

bool DecodeSample::Decode() {
  const std::span<std::byte> plain = memory().first(kBytes);
  seal::ChunkDecoder decoder(memory().subspan(kBytes));
  const std::span<std::byte> text = decoder.TextRoom(kBytes);
  // A text of one plane is only read: it is written once.
  if (coded_bytes_ == 0) {
    coded_bytes_ = static_cast<uint32_t>(RoundUp(WriteSample(text), graph::kChunkAlignment));
  }
  return decoder.Decode(coded_bytes_, plain) == seal::DecodeOutcome::kDecoded;
}

}  // namespace coracle::runtime

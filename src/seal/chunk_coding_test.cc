// Coding and decoding chunks; what no coder made is refused, whatever it is.
#define ZSTD_STATIC_LINKING_ONLY
#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "seal/chunk_coder.h"
#include "seal/chunk_decoder.h"

namespace coracle::seal {
namespace {

using Buffer = std::vector<std::byte>;

struct alignas(graph::kChunkAlignment) Line {
  std::byte bytes[graph::kChunkAlignment];
};

/// A decoder and memory that it may not leave.
class Decoding {
 public:
  explicit Decoding(uint32_t plain_bytes)
      : lines_((graph::kDecoderContextBytes + plain_bytes) / sizeof(Line)),
        plain_(plain_bytes),
        decoder_(std::as_writable_bytes(std::span(lines_))) {}

  DecodeOutcome Decode(Bytes text) {
    const auto room = decoder_.TextRoom(static_cast<uint32_t>(plain_.size()));
    if (text.size() > room.size()) return DecodeOutcome::kMalformed;
    std::ranges::copy(text, room.begin());
    return decoder_.Decode(static_cast<uint32_t>(text.size()), plain_);
  }
  const Buffer& plain() const { return plain_; }

 private:
  std::vector<Line> lines_;
  Buffer plain_;
  ChunkDecoder decoder_;
};

template <typename T>
Buffer BytesOf(const std::vector<T>& values) {
  Buffer bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Buffer NormalFloats(uint32_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02F);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return BytesOf(values);
}

Buffer NormalInt8(uint32_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 30);
  std::vector<int8_t> values(count);
  for (int8_t& value : values) {
    value = static_cast<int8_t>(std::clamp(std::lround(normal(random)), -127L, 127L));
  }
  return BytesOf(values);
}

Buffer Noise(uint32_t bytes) {
  std::mt19937 random(5);
  Buffer noise(bytes);
  for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
  return noise;
}

/// float32 that hold few different values.
Buffer OnceQuantized(uint32_t count) {
  std::mt19937 random(6);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 12) * 0.0371F;
  return BytesOf(values);
}

TEST(ChunkCodingTest, ThePlainBytesComeBack) {
  const auto coder = ChunkCoder::Create().value();
  for (const uint32_t bytes : {64U, 192U, 320U, 4096U, 65'536U, 65'856U, 131'072U, 262'144U}) {
    const Buffer plains[] = {NormalFloats(bytes / 4, 1), NormalInt8(bytes, 2),
                             OnceQuantized(bytes / 4), Buffer(bytes)};
    for (const Buffer& plain : plains) {
      const auto coded = coder->Code(plain);
      if (!coded) continue;
      EXPECT_LT(coded->size(), bytes);
      EXPECT_EQ(coded->size() % graph::kChunkAlignment, 0U);
      Decoding decoding(bytes);
      ASSERT_EQ(decoding.Decode(*coded), DecodeOutcome::kDecoded) << bytes;
      EXPECT_TRUE(decoding.plain() == plain) << bytes;
    }
  }
}

TEST(ChunkCodingTest, WhatIsGained) {
  const auto coder = ChunkCoder::Create().value();
  const auto ratio = [&coder](const Buffer& plain) {
    const auto coded = coder->Code(plain);
    return coded ? static_cast<double>(plain.size()) / static_cast<double>(coded->size()) : 1;
  };
  EXPECT_GT(ratio(NormalFloats(65'536, 1)), 1.14);
  EXPECT_GT(ratio(NormalInt8(262'144, 1)), 1.12);  // 6.95 bits of entropy
  EXPECT_GT(ratio(OnceQuantized(65'536)), 6);
  EXPECT_FALSE(coder->Code(Noise(262'144)).has_value());
}

TEST(ChunkCodingTest, OneDecoderServesManyChunks) {
  const auto coder = ChunkCoder::Create().value();
  Decoding decoding(65'536);
  for (unsigned seed = 0; seed < 4; ++seed) {
    for (const Buffer& plain : {NormalFloats(16'384, seed), NormalInt8(65'536, seed)}) {
      const Buffer text = coder->Code(plain).value();
      Buffer broken = text;
      broken[200] ^= std::byte{0x10};
      (void)decoding.Decode(broken);
      ASSERT_EQ(decoding.Decode(text), DecodeOutcome::kDecoded);
      EXPECT_TRUE(decoding.plain() == plain);
    }
  }
}

TEST(ChunkCodingTest, OtherLengthsPaddingAndPrefixesAreRefused) {
  const auto coder = ChunkCoder::Create().value();
  const Buffer plain = NormalInt8(4096, 3);
  const Buffer text = coder->Code(plain).value();
  EXPECT_EQ(Decoding(4096 - 64).Decode(text), DecodeOutcome::kMalformed);
  EXPECT_EQ(Decoding(4096 + 64).Decode(text), DecodeOutcome::kMalformed);
  const auto changed = [&text](auto change) {
    Buffer other = text;
    change(other);
    return Decoding(4096).Decode(other);
  };
  EXPECT_EQ(changed([](Buffer&) {}), DecodeOutcome::kDecoded);
  EXPECT_EQ(changed([](Buffer& b) { b.resize(b.size() + 64); }), DecodeOutcome::kMalformed);
  EXPECT_EQ(changed([](Buffer& b) { b.at(b.size() - 1) = std::byte{1}; }),
            DecodeOutcome::kMalformed);
  for (const int planes : {0, 2, 3, 5, 255}) {
    EXPECT_EQ(changed([&](Buffer& b) { b[0] = static_cast<std::byte>(planes); }),
              DecodeOutcome::kMalformed);
  }
  for (size_t size = 0; size + 64 <= text.size(); ++size) {
    EXPECT_EQ(changed([&](Buffer& b) { b.resize(size); }), DecodeOutcome::kMalformed) << size;
  }
}

TEST(ChunkCodingTest, OtherFramesAreRefused) {
  const Buffer plain = NormalInt8(4096, 4);
  const auto frame = [&plain](auto set) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    set(context);
    Buffer text(8192);
    text[0] = std::byte{1};
    const size_t bytes =
        ZSTD_compress2(context, text.data() + 1, text.size() - 1, plain.data(), plain.size());
    ZSTD_freeCCtx(context);
    EXPECT_EQ(ZSTD_isError(bytes), 0U);
    text.resize((1 + bytes + 63) / 64 * 64);
    return text;
  };
  EXPECT_EQ(Decoding(4096).Decode(frame([](ZSTD_CCtx*) {})), DecodeOutcome::kDecoded);
  const Buffer others[] = {
      frame([](ZSTD_CCtx* c) { ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1); }),
      frame([](ZSTD_CCtx* c) { ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0); }),
      frame(
          [](ZSTD_CCtx* c) { ZSTD_CCtx_setParameter(c, ZSTD_c_format, ZSTD_f_zstd1_magicless); })};
  for (const Buffer& other : others) {
    EXPECT_EQ(Decoding(4096).Decode(other), DecodeOutcome::kMalformed);
  }
  for (const uint32_t magic : {0xFD2FB525U, 0xFD2FB526U, 0xFD2FB527U, 0x184D2A50U}) {
    Buffer text = frame([](ZSTD_CCtx*) {});
    std::memcpy(text.data() + 1, &magic, 4);  // formats before 1.0; a frame to be skipped
    EXPECT_EQ(Decoding(4096).Decode(text), DecodeOutcome::kMalformed);
  }
}

/// A malicious owner's texts: decoded to something or refused, and nothing else.
TEST(ChunkCodingTest, ChangedTextsNeverLeaveTheirMemory) {
  const auto coder = ChunkCoder::Create().value();
  std::mt19937 random(7);
  for (const Buffer& plain : {NormalFloats(1024, 1), NormalInt8(4096, 1), OnceQuantized(1024)}) {
    const Buffer text = coder->Code(plain).value();
    Decoding decoding(4096);
    for (int turn = 0; turn < 3000; ++turn) {
      Buffer changed = text;
      for (uint32_t i = 0; i <= random() % 4; ++i) {
        changed[random() % changed.size()] = static_cast<std::byte>(random());
      }
      (void)decoding.Decode(changed);
    }
    ASSERT_EQ(decoding.Decode(text), DecodeOutcome::kDecoded);
    EXPECT_TRUE(decoding.plain() == plain);
  }
}

TEST(ChunkCodingTest, TheLibrarysContextHasItsRoom) {
  EXPECT_LE(ZSTD_estimateDCtxSize(), graph::kDecoderContextBytes);
}

}  // namespace
}  // namespace coracle::seal

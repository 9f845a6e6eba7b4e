#include "crypto/owner_key.h"

#include <gtest/gtest.h>

#include <string>

#include "crypto/hash.h"
#include "crypto/test_bytes.h"

namespace coracle::crypto {
namespace {

// Computed apart from this code, with Python's hashlib and hmac, for key bytes 0, 1, ... 31.
constexpr std::string_view kText =
    "coracle-owner-key-1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
    "3ab64e17\n";
constexpr std::string_view kId = "c8b4933ea3086383e0a3192810a278b2";

Key256 CountingKey() {
  Key256 key;
  for (size_t i = 0; i < 32; ++i) key.mutable_bytes()[i] = static_cast<std::byte>(i);
  return key;
}

std::string TextOf(const OwnerKeyText& text) {
  return {reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()};
}

Result<Key256> Decode(std::string_view text) {
  return DecodeOwnerKey(std::as_bytes(std::span(text)));
}

TEST(OwnerKeyTest, EncodesAndDecodesTheKnownText) {
  EXPECT_EQ(TextOf(EncodeOwnerKey(CountingKey()).value()), kText);
  for (const std::string_view text : {kText, kText.substr(0, kText.size() - 1)}) {
    const auto key = Decode(text);
    ASSERT_TRUE(key.ok());
    EXPECT_TRUE(EqualConstantTime(key->bytes(), CountingKey().bytes()));
  }
  EXPECT_EQ(Hex(OwnerKeyId(CountingKey()).value()), kId);
}

TEST(OwnerKeyTest, RoundTripsEveryDigit) {
  for (uint64_t seed = 0; seed < 64; ++seed) {
    const Key256 key = KeyOf(Noise(32, seed));
    const auto decoded = DecodeOwnerKey(EncodeOwnerKey(key).value().bytes());
    ASSERT_TRUE(decoded.ok());
    EXPECT_TRUE(EqualConstantTime(decoded->bytes(), key.bytes()));
  }
}

TEST(OwnerKeyTest, RefusesEveryChangedByteAndLength) {
  for (size_t i = 0; i < kText.size(); ++i) {
    for (const char c : {'0', '1', 'f', 'F', 'g', ' ', '\n', '\0', '\xff'}) {
      std::string text(kText);
      if (text[i] == c) continue;
      text[i] = c;
      const auto key = Decode(text);
      ASSERT_FALSE(key.ok()) << i;
      EXPECT_EQ(key.error().code, Code::kMalformed);
    }
  }
  for (size_t size = 0; size + 1 < kText.size(); ++size) {
    EXPECT_FALSE(Decode(kText.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(Decode(std::string(kText) + "\n").ok());
}

}  // namespace
}  // namespace coracle::crypto

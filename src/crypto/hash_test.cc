#include "crypto/hash.h"

#include <gtest/gtest.h>

#include "crypto/owner_key.h"
#include "crypto/test_bytes.h"

namespace coracle::crypto {
namespace {

Bytes AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> Counting(unsigned first, unsigned count) {
  std::vector<std::byte> bytes;
  for (unsigned i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(first + i));
  return bytes;
}

TEST(Sha256Test, PublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(Hex(Sha256({}).value()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256(AsBytes("abc")).value()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256(AsBytes("a"), AsBytes("bc")).value()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(HkdfTest, Rfc5869Appendix) {  // A.1 to A.3, first 32 bytes of OKM
  const std::vector<std::byte> ikm(22, std::byte{0x0b});
  EXPECT_EQ(Hex(HkdfSha256(ikm, Counting(0, 13), Counting(0xf0, 10)).value().bytes()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  EXPECT_EQ(
      Hex(HkdfSha256(Counting(0, 80), Counting(0x60, 80), Counting(0xb0, 80)).value().bytes()),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
  EXPECT_EQ(Hex(HkdfSha256(ikm, {}, {}).value().bytes()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(HkdfTest, EveryInputCounts) {
  const Key256 key = KeyOf(Noise(32, 1));
  const auto derived = DeriveKey(key, AsBytes("salt"), AsBytes("info")).value();
  const auto other_key = DeriveKey(KeyOf(Noise(32, 2)), AsBytes("salt"), AsBytes("info")).value();
  const auto other_salt = DeriveKey(key, AsBytes("salu"), AsBytes("info")).value();
  const auto other_info = DeriveKey(key, AsBytes("salt"), AsBytes("infp")).value();
  EXPECT_FALSE(EqualConstantTime(derived.bytes(), other_key.bytes()));
  EXPECT_FALSE(EqualConstantTime(derived.bytes(), other_salt.bytes()));
  EXPECT_FALSE(EqualConstantTime(derived.bytes(), other_info.bytes()));
}

TEST(EqualConstantTimeTest, ComparesSizesAndBytes) {
  EXPECT_TRUE(EqualConstantTime({}, {}));
  EXPECT_TRUE(EqualConstantTime(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(EqualConstantTime(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(EqualConstantTime(AsBytes("abc"), AsBytes("ab")));
}

TEST(SecretBytesTest, MovingWipesTheSource) {
  Key256 from = KeyOf(Noise(32, 3));
  const Key256 to = std::move(from);
  EXPECT_TRUE(EqualConstantTime(to.bytes(), Noise(32, 3)));
  EXPECT_TRUE(EqualConstantTime(from.bytes(), std::vector<std::byte>(32)));  // NOLINT: that is it
}

}  // namespace
}  // namespace coracle::crypto

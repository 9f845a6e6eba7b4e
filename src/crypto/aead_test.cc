#include "crypto/aead.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/test_aeads.h"
#include "crypto/test_bytes.h"

namespace coracle::crypto {
namespace {

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16; NIST adopted
/// them.
struct Vector {
  const char* key;
  const char* nonce;
  const char* associated;
  const char* plain;
  const char* sealed;
  const char* tag;
};
constexpr char kZeroKey[] = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr char kKey[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr Vector kVectors[] = {
    {kZeroKey, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {kZeroKey, "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {kKey, "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {kKey, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

template <size_t N>
std::array<std::byte, N> ArrayOf(const std::vector<std::byte>& bytes) {
  CORACLE_CHECK(bytes.size() == N);
  std::array<std::byte, N> array{};
  std::ranges::copy(bytes, array.begin());
  return array;
}

bool IsZero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(AeadTest, SealsAndOpensThePublishedVectors) {
  for (const AeadMaker& maker : AllAeads()) {
    SCOPED_TRACE(maker.name);
    for (const Vector& vector : kVectors) {
      const auto aead = maker.make(KeyOf(FromHex(vector.key)));
      const Nonce nonce = ArrayOf<kNonceBytes>(FromHex(vector.nonce));
      const auto associated = FromHex(vector.associated);
      const auto plain = FromHex(vector.plain);
      std::vector<std::byte> text(plain.size());
      Tag tag{};
      aead->Seal(nonce, associated, plain, text, tag);
      EXPECT_EQ(text, FromHex(vector.sealed));
      EXPECT_EQ(tag, ArrayOf<kTagBytes>(FromHex(vector.tag)));
      std::vector<std::byte> opened(plain.size(), std::byte{0xee});
      EXPECT_EQ(aead->Open(nonce, associated, text, tag, opened), Verdict::kAuthentic);
      EXPECT_EQ(opened, plain);
      EXPECT_EQ(aead->Open(nonce, associated, text, tag, text), Verdict::kAuthentic);
      EXPECT_EQ(text, plain);
    }
  }
}

TEST(AeadTest, RefusesEveryFlippedBitAndZeroesThePlaintext) {
  for (const AeadMaker& maker : AllAeads()) {
    SCOPED_TRACE(maker.name);
    const Vector& vector = kVectors[3];
    const auto aead = maker.make(KeyOf(FromHex(vector.key)));
    const Nonce nonce = ArrayOf<kNonceBytes>(FromHex(vector.nonce));
    const auto associated = FromHex(vector.associated);
    const auto sealed = FromHex(vector.sealed);
    const Tag tag = ArrayOf<kTagBytes>(FromHex(vector.tag));
    const auto refused = [&](const Nonce& n, Bytes ad, std::vector<std::byte> text, const Tag& t) {
      std::vector<std::byte> opened(text.size(), std::byte{0xee});
      const bool fresh = aead->Open(n, ad, text, t, opened) == Verdict::kTampered;
      const bool in_place = aead->Open(n, ad, text, t, text) == Verdict::kTampered;
      return fresh && in_place && IsZero(opened) && IsZero(text);
    };
    const auto flip = [](auto bytes, size_t bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      return bytes;
    };
    for (size_t bit = 0; bit < 8 * kTagBytes; ++bit) {
      EXPECT_TRUE(refused(nonce, associated, sealed, flip(tag, bit)));
    }
    for (size_t bit = 0; bit < 8 * kNonceBytes; ++bit) {
      EXPECT_TRUE(refused(flip(nonce, bit), associated, sealed, tag));
    }
    for (size_t bit = 0; bit < 8 * associated.size(); ++bit) {
      EXPECT_TRUE(refused(nonce, flip(associated, bit), sealed, tag));
    }
    for (size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
      EXPECT_TRUE(refused(nonce, associated, flip(sealed, bit), tag));
    }
    EXPECT_TRUE(refused(nonce, {}, sealed, tag));
    EXPECT_TRUE(refused(nonce, associated, {sealed.begin(), sealed.end() - 1}, tag));
  }
}

TEST(AeadTest, AllImplementationsAgree) {
  const Key256 key = KeyOf(Noise(32, 1));
  std::vector<std::unique_ptr<Aead>> aeads;
  for (const AeadMaker& maker : AllAeads()) aeads.push_back(maker.make(key));
  std::vector<size_t> sizes = {4096, 16 * 1024 - 64, 65536 + 1, 262144};
  for (size_t size = 0; size < 1100; size += size < 300 ? 1 : 37) sizes.push_back(size);
  for (const size_t size : sizes) {
    const auto plain = Noise(size, size + 2);
    const auto associated = Noise(size % 131, size + 3);
    const Nonce nonce = ArrayOf<kNonceBytes>(Noise(kNonceBytes, size + 4));
    std::vector<std::byte> expected(size);
    Tag expected_tag{};
    aeads[0]->Seal(nonce, associated, plain, expected, expected_tag);
    for (const auto& aead : aeads) {
      std::vector<std::byte> text(size);
      Tag tag{};
      aead->Seal(nonce, associated, plain, text, tag);
      ASSERT_EQ(text, expected) << size;
      ASSERT_EQ(tag, expected_tag) << size;
      ASSERT_EQ(aead->Open(nonce, associated, text, tag, text), Verdict::kAuthentic) << size;
      ASSERT_EQ(text, plain) << size;
    }
  }
}

bool Contains(Bytes memory, Bytes needle) {
  return std::search(memory.begin(), memory.end(), needle.begin(), needle.end()) != memory.end();
}

TEST(AeadTest, AKeyInWipedMemoryIsDead) {
  for (const AeadBackend backend : {AeadBackend::kIpsecMb, AeadBackend::kOpenSsl}) {
    if (backend == AeadBackend::kIpsecMb && !IpsecMbRuns(IpsecMbIsa::kBest)) continue;
    SCOPED_TRACE(AeadBackendName(backend));
    const auto raw = Noise(32, 11);
    const Key256 key = KeyOf(raw);
    const auto aead = std::make_unique<AeadInKeyMemory>(
        [&](auto memory) { return MakeAeadIn(memory, backend, key); });
    EXPECT_TRUE(Contains(aead->key_memory(), raw)) << "a schedule starts with its key";
    const auto plain = Noise(5000, 12);
    std::vector<std::byte> text(plain.size());
    std::vector<std::byte> opened(plain.size());
    Tag tag{};
    aead->Seal({}, {}, plain, text, tag);
    EXPECT_EQ(aead->Open({}, {}, text, tag, opened), Verdict::kAuthentic);
    EXPECT_EQ(opened, plain);
    std::ranges::fill(aead->key_memory(), std::byte{0});  // as a fork does
    EXPECT_EQ(aead->Open({}, {}, text, tag, opened), Verdict::kTampered);
    EXPECT_TRUE(IsZero(opened));
    EXPECT_DEATH(aead->Seal({}, {}, plain, text, tag), "");
  }
}

TEST(AeadTest, LeavesNothingInKeyMemory) {
  struct alignas(kKeyMemoryAlignment) Memory {
    std::byte bytes[kKeyMemoryBytes] = {};
  };
  const auto memory = std::make_unique<Memory>();
  const Key256 key = KeyOf(Noise(32, 13));
  for (const AeadBackend backend : {AeadBackend::kIpsecMb, AeadBackend::kOpenSsl}) {
    auto aead = MakeAeadIn(memory->bytes, backend, key);
    if (!aead.ok()) continue;
    EXPECT_FALSE(IsZero(memory->bytes));
    aead->reset();
    EXPECT_TRUE(IsZero(memory->bytes)) << AeadBackendName(backend);
  }
}

TEST(AeadTest, BackendsByName) {
  const Key256 key = KeyOf(Noise(32, 9));
  for (const AeadBackend backend : {AeadBackend::kIpsecMb, AeadBackend::kOpenSsl}) {
    const auto aead = MakeAead(backend, key);
    EXPECT_TRUE(aead.ok() || aead.error().code == Code::kUnsupported);
  }
  EXPECT_TRUE(MakeAead(PreferredAeadBackend(), key).ok());
  EXPECT_EQ(AeadBackendName(AeadBackend::kIpsecMb), "ipsec-mb");
}

}  // namespace
}  // namespace coracle::crypto

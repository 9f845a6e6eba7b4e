#include "seal/format.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/owner_key.h"
#include "seal/keys.h"

namespace coracle::seal {
namespace {

Header ExampleHeader() {
  Header header;
  std::ranges::fill(header.model_id, std::byte{0x11});
  std::ranges::fill(header.key_id, std::byte{0x22});
  std::ranges::fill(header.salt, std::byte{0x33});
  std::ranges::fill(header.commitment, std::byte{0x44});
  header.manifest_offset = 0x0180;
  header.manifest_bytes = 0x0240;
  return header;
}

std::string Repeated(const char* digits, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += digits;
  return text;
}

TEST(FormatTest, HeaderIsAsTheDocumentSays) {
  const std::string expected = "434f5241434c451a0300000001000000" + Repeated("11", 16) +
                               Repeated("22", 16) + Repeated("33", 32) + Repeated("44", 32) +
                               "80010000000000004002000000000000";
  EXPECT_EQ(crypto::Hex(EncodeHeader(ExampleHeader())), expected);
}

TEST(FormatTest, HeaderRoundTrips) {
  const Header header = ExampleHeader();
  const auto parsed = ParseHeader(EncodeHeader(header), header.FileBytes());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(EncodeHeader(*parsed), EncodeHeader(header));
}

TEST(FormatTest, OtherVersionsAreRefused) {
  const Header header = ExampleHeader();
  for (const int version : {0, 1, 2, 4, 255}) {
    HeaderBytes bytes = EncodeHeader(header);
    bytes[8] = static_cast<std::byte>(version);
    const auto parsed = ParseHeader(bytes, header.FileBytes());
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, Code::kUnsupported);
  }
}

TEST(FormatTest, FileLengthIsExact) {
  const Header header = ExampleHeader();
  for (const int64_t off : {-64, -1, 1, 64}) {
    const auto length = static_cast<uint64_t>(static_cast<int64_t>(header.FileBytes()) + off);
    EXPECT_EQ(ParseHeader(EncodeHeader(header), length).error().code, Code::kMalformed);
  }
}

TEST(FormatTest, ImpossiblePlacesAreRefused) {
  const auto refused = [](uint64_t offset, uint32_t bytes) {
    Header header = ExampleHeader();
    header.manifest_offset = offset;
    header.manifest_bytes = bytes;
    return !ParseHeader(EncodeHeader(header), header.FileBytes()).ok();
  };
  EXPECT_FALSE(refused(kHeaderBytes, 64));
  EXPECT_TRUE(refused(kHeaderBytes - 64, 256));
  EXPECT_TRUE(refused(kHeaderBytes + 1, 64));
  EXPECT_TRUE(refused(kHeaderBytes, 0));
  EXPECT_TRUE(refused(kHeaderBytes, 65));
  EXPECT_TRUE(refused(kHeaderBytes, kMaxManifestBytes + 64));
  EXPECT_TRUE(refused(~uint64_t{0} - 63, 128));  // the sum overflows to a small length
}

TEST(FormatTest, NonceAndAssociatedDataOfAChunk) {
  const auto index = static_cast<graph::ChunkIndex>(0x01020304);
  EXPECT_EQ(crypto::Hex(ChunkNonce(index)), "040302010000000000000000");
  EXPECT_EQ(crypto::Hex(AssociatedOfChunk(ExampleHeader().model_id, index, 0x040000)),
            Repeated("11", 16) + "04030201000004000100000000000000");
}

TEST(KeysTest, EachPurposeAndFileHasItsOwn) {
  crypto::Key256 owner;
  Salt salt{};
  ModelId id{};
  const FileKeys keys = DeriveFileKeys(owner, salt, id).value();
  salt[31] = std::byte{1};
  const FileKeys other_salt = DeriveFileKeys(owner, salt, id).value();
  id[15] = std::byte{1};
  const FileKeys other_id = DeriveFileKeys(owner, salt, id).value();
  const auto hex = [](const auto& bytes) { return crypto::Hex(bytes); };
  std::vector<std::string> all;
  for (const FileKeys* each : {&keys, &other_salt, &other_id}) {
    all.push_back(hex(each->commitment));
    all.push_back(hex(each->manifest.bytes()));
    all.push_back(hex(each->chunks.bytes()));
  }
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
  // Computed apart from this code: HKDF-SHA256(zeros, zeros, 16 zero bytes || "chunks").
  EXPECT_EQ(hex(keys.chunks.bytes()),
            "9c81afa504b3ed92a50f775d147ea763961047f53100e6b0e3593a3a32b71927");
}

}  // namespace
}  // namespace coracle::seal

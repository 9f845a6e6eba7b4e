#include "seal/reader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/index.h"
#include "host/fake/blob.h"
#include "host/fake/entropy.h"
#include "seal/format.h"
#include "seal/manifest_codec.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

using crypto::AeadBackend;
using host::BlobAccess;
using host::FakeBlob;

std::vector<AeadBackend> Backends() {
  std::vector<AeadBackend> backends = {AeadBackend::kOpenSsl};
  if (crypto::PreferredAeadBackend() == AeadBackend::kIpsecMb) {
    backends.push_back(AeadBackend::kIpsecMb);
  }
  return backends;
}

TEST(ReaderTest, OpensWhatTheWriterSealed) {
  for (const AeadBackend sealing : Backends()) {
    const auto file = SealSmallModel({.backend = sealing});
    for (const AeadBackend opening : Backends()) {
      for (const BlobAccess access : {BlobAccess::kView, BlobAccess::kRead}) {
        const FakeBlob blob(file, access);
        const auto model = SealedModel::Open(blob, TestKey(1), opening);
        ASSERT_TRUE(model.ok()) << model.error().message;
        const Manifest& manifest = (*model)->manifest();
        EXPECT_EQ(manifest.labels, SmallManifest().labels);
        ASSERT_EQ(manifest.chunks.size(), 7U);
        EXPECT_EQ(manifest.chunks[0].offset, kHeaderBytes);
        const auto opener = (*model)->NewOpener().value();
        for (size_t i = manifest.chunks.size(); i-- > 0;) {  // in any order
          std::vector<std::byte> plain(manifest.chunks[i].bytes);
          const auto index = static_cast<graph::ChunkIndex>(i);
          ASSERT_EQ(opener->Open(index, plain), crypto::Verdict::kAuthentic);
          EXPECT_EQ(plain, SmallChunk(manifest, i, 1));
          EXPECT_EQ(opener->Ciphertext(index).size(),
                    access == BlobAccess::kView ? plain.size() : 0U);
        }
        EXPECT_EQ(opener->host_calls(), access == BlobAccess::kView ? 0U : 7U);
      }
    }
  }
}

TEST(ReaderTest, OpensCodedChunks) {
  const auto file = SealSmallModel({.weights = Weights::kCoded});
  EXPECT_LT(file.size(), SealSmallModel().size());
  alignas(64) static std::byte room[graph::kDecoderContextBytes + graph::kMaxChunkBytes];
  for (const AeadBackend opening : Backends()) {
    for (const BlobAccess access : {BlobAccess::kView, BlobAccess::kRead}) {
      const FakeBlob blob(file, access);
      const auto model = SealedModel::Open(blob, TestKey(1), opening).value();
      const auto& chunks = model->manifest().chunks;
      const auto opener = model->NewOpener().value();
      opener->LendDecodingRoom(room);
      uint32_t coded = 0;
      for (size_t i = chunks.size(); i-- > 0;) {
        std::vector<std::byte> plain(chunks[i].plain_bytes);
        const auto index = static_cast<graph::ChunkIndex>(i);
        ASSERT_EQ(opener->Open(index, plain), crypto::Verdict::kAuthentic);
        EXPECT_EQ(plain, SmallChunk(model->manifest(), i, 1, Weights::kCoded));
        if (access == BlobAccess::kView) {
          EXPECT_EQ(opener->Ciphertext(index).size(), chunks[i].bytes);
        }
        coded += chunks[i].bytes < chunks[i].plain_bytes ? 1 : 0;
      }
      EXPECT_GT(coded, 3U);
      EXPECT_TRUE(CheckAllChunks(*model, nullptr).ok());
    }
  }
}

TEST(ReaderTest, OpeningReadsHeaderAndManifestOnly) {
  const FakeBlob blob(SealSmallModel(), BlobAccess::kRead);
  ASSERT_TRUE(SealedModel::Open(blob, TestKey(1), crypto::PreferredAeadBackend()).ok());
  EXPECT_EQ(blob.calls(), 2U);
}

TEST(ReaderTest, CheckingReportsProgress) {
  const FakeBlob blob(SealSmallModel(), BlobAccess::kView);
  const auto model = SealedModel::Open(blob, TestKey(1), crypto::PreferredAeadBackend());
  ASSERT_TRUE(model.ok());
  const auto progress = [](uint64_t done, uint64_t total) {
    EXPECT_LE(done, total);
    EXPECT_EQ(total, 7U);
  };
  EXPECT_TRUE(CheckAllChunks(**model, progress).ok());
}

TEST(ReaderTest, IdentityIsTheHashOfHeaderAndSealedManifest) {
  const auto file = SealSmallModel();
  const FakeBlob blob(file, BlobAccess::kView);
  const auto model = SealedModel::Open(blob, TestKey(1), crypto::PreferredAeadBackend());
  ASSERT_TRUE(model.ok());
  const uint64_t manifest_offset = ChunksEnd((*model)->manifest());
  EXPECT_EQ((*model)->identity(),
            crypto::Sha256(Bytes(file).first(kHeaderBytes), Bytes(file).subspan(manifest_offset))
                .value());
}

TEST(ReaderTest, FormatErrorsComeBeforeAnyKeyAndSayWhatIsWrong) {
  const auto file = SealSmallModel();
  const auto code_of = [](std::vector<std::byte> bytes) {
    const FakeBlob blob(std::move(bytes), BlobAccess::kView);
    const auto model = SealedModel::Open(blob, TestKey(1), AeadBackend::kOpenSsl);
    CORACLE_CHECK(!model.ok());
    return model.error().code;
  };
  const auto with = [&](size_t at, uint8_t value) {
    auto bytes = file;
    bytes[at] = std::byte{value};
    return bytes;
  };
  EXPECT_EQ(code_of({}), Code::kMalformed);
  EXPECT_EQ(code_of(with(0, 'X')), Code::kMalformed);
  for (const uint8_t version : {uint8_t{kFormatVersion - 1}, uint8_t{kFormatVersion + 1}}) {
    EXPECT_EQ(code_of(with(8, version)), Code::kUnsupported);
  }
  EXPECT_EQ(code_of(with(12, 2)), Code::kUnsupported);
  EXPECT_EQ(code_of(with(112, 1)), Code::kMalformed);
  EXPECT_EQ(code_of(with(119, 0x80)), Code::kMalformed);
  EXPECT_EQ(code_of(with(120, 1)), Code::kMalformed);
  EXPECT_EQ(code_of(with(127, 0xff)), Code::kMalformed);
  auto longer = file;
  longer.resize(longer.size() + 64);
  EXPECT_EQ(code_of(longer), Code::kMalformed);
}

TEST(ReaderTest, WrongKeyIsTamperedWithTheSameMessageAsAChange) {
  auto file = SealSmallModel();
  const FakeBlob blob(file, BlobAccess::kView);
  const auto wrong_key = SealedModel::Open(blob, TestKey(2), AeadBackend::kOpenSsl);
  file[file.size() - 100] ^= std::byte{1};  // in the manifest
  const FakeBlob changed_blob(file, BlobAccess::kView);
  const auto changed = SealedModel::Open(changed_blob, TestKey(1), AeadBackend::kOpenSsl);
  ASSERT_FALSE(wrong_key.ok() || changed.ok());
  EXPECT_EQ(wrong_key.error().code, Code::kTampered);
  EXPECT_EQ(changed.error().code, Code::kTampered);
  EXPECT_EQ(wrong_key.error().message, changed.error().message);
}

TEST(ReaderTest, AHostThatFailsOnceIsNeverBelieved) {
  const auto file = SealSmallModel();
  for (const BlobAccess access : {BlobAccess::kView, BlobAccess::kRead}) {
    for (const host::BlobFault fault : host::kBlobFaults) {
      for (uint64_t call = 0; call < 9; ++call) {
        for (uint64_t seed = 0; seed < 8; ++seed) {
          const host::BlobFaultPlan plan{.fault = fault, .call = call, .seed = seed};
          const FakeBlob blob(file, access, plan);
          const Status status = OpenAll(blob, TestKey(1), AeadBackend::kOpenSsl);
          if (status.ok()) {
            // Replaying from the very place that was asked for is no lie.
            EXPECT_EQ(fault, host::BlobFault::kReplay) << plan.ToString();
            continue;
          }
          const Code code = status.error().code;
          EXPECT_TRUE(code == Code::kTampered || code == Code::kUnavailable || call == 0)
              << plan.ToString() << ": " << status.error().message;
        }
      }
    }
  }
}

TEST(ReaderTest, AFailedReadIsCountedAndLeavesZeros) {
  const host::BlobFaultPlan plan{.fault = host::BlobFault::kFail, .call = 2, .seed = 0};
  const FakeBlob blob(SealSmallModel(), BlobAccess::kRead, plan);
  const auto model = SealedModel::Open(blob, TestKey(1), AeadBackend::kOpenSsl);
  ASSERT_TRUE(model.ok());
  const auto opener = (*model)->NewOpener().value();
  std::vector<std::byte> plain((*model)->manifest().chunks[0].bytes, std::byte{0xee});
  EXPECT_EQ(opener->Open(graph::ChunkIndex{0}, plain), crypto::Verdict::kTampered);
  EXPECT_EQ(plain, std::vector<std::byte>(plain.size()));
  EXPECT_EQ(opener->host_failures(), 1U);
  EXPECT_EQ(opener->Open(graph::ChunkIndex{0}, plain), crypto::Verdict::kAuthentic);
}

}  // namespace
}  // namespace coracle::seal

// Every sealed byte meets flip, swap, splice, truncation and trailing bytes: the model never opens.

#include <gtest/gtest.h>

#include <algorithm>

#include "host/fake/blob.h"
#include "host/fake/entropy.h"
#include "host/fake/mutating_blob.h"
#include "seal/format.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

using crypto::AeadBackend;
using host::BlobAccess;
using File = std::vector<std::byte>;

struct Way {
  AeadBackend backend;
  BlobAccess access;
};

std::vector<Way> AllWays() {
  std::vector<Way> ways;
  for (const BlobAccess access : {BlobAccess::kView, BlobAccess::kRead}) {
    ways.push_back({AeadBackend::kOpenSsl, access});
    if (crypto::PreferredAeadBackend() == AeadBackend::kIpsecMb) {
      ways.push_back({AeadBackend::kIpsecMb, access});
    }
  }
  return ways;
}

/// How opening the model and all its chunks fails; kInternal if it does not.
Code Outcome(const File& file, const Way& way) {
  const host::FakeBlob blob(file, way.access);
  const Status status = OpenAll(blob, TestKey(1), way.backend);
  return status.ok() ? Code::kInternal : status.error().code;
}

/// True if it fails as it should: by authentication, or by its format before any key is used.
bool Refused(const File& file, const Way& way) {
  const Code code = Outcome(file, way);
  return code == Code::kTampered || code == Code::kMalformed || code == Code::kUnsupported;
}

void ExpectRefusedEveryWay(const File& file, const std::string& what) {
  for (const Way& way : AllWays()) {
    EXPECT_TRUE(Refused(file, way)) << what;
  }
}

/// Offsets and lengths of the chunks of an untouched small model.
std::vector<ChunkRecord> ChunksOf(const File& file, uint8_t key = 1) {
  const host::FakeBlob blob(file, BlobAccess::kView);
  return SealedModel::Open(blob, TestKey(key), AeadBackend::kOpenSsl).value()->manifest().chunks;
}

void CopyRange(const File& from, File& to, uint64_t offset, uint64_t bytes) {
  std::ranges::copy(Bytes(from).subspan(offset, bytes),
                    to.begin() + static_cast<ptrdiff_t>(offset));
}

TEST(TamperTest, TheUntouchedModelOpens) {
  const File file = SealSmallModel();
  EXPECT_LT(file.size(), 6000U);
  for (const Way& way : AllWays()) {
    const host::FakeBlob blob(file, way.access);
    EXPECT_TRUE(OpenAll(blob, TestKey(1), way.backend).ok());
  }
}

/// Sanitizers make each try many times slower: there every seventh bit, so each place in a byte.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kBitStep = 7;
#else
constexpr size_t kBitStep = 1;
#endif

class FlipTest : public testing::TestWithParam<Way> {};

TEST_P(FlipTest, EveryBitOfTheFile) {
  File file = SealSmallModel();
  for (size_t bit = 0; bit < 8 * file.size(); bit += kBitStep) {
    file[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const Code code = Outcome(file, GetParam());
    const bool format_error = code == Code::kMalformed || code == Code::kUnsupported;
    ASSERT_TRUE(code == Code::kTampered || (format_error && bit < 8 * kHeaderBytes)) << bit;
    file[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, FlipTest, testing::ValuesIn(AllWays()), [](const auto& info) {
  return std::string(info.param.backend == AeadBackend::kOpenSsl ? "openssl" : "ipsec_mb") +
         (info.param.access == BlobAccess::kView ? "_view" : "_read");
});

TEST_P(FlipTest, EveryBitOfCodedChunks) {
  File file = SealSmallModel({.weights = Weights::kCoded});
  const auto chunks = ChunksOf(file);
  ASSERT_LT(chunks[0].bytes, chunks[0].plain_bytes);
  const uint64_t end = chunks.back().offset + chunks.back().bytes;
  for (size_t bit = 8 * kHeaderBytes; bit < 8 * end; bit += kBitStep) {
    file[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ASSERT_EQ(Outcome(file, GetParam()), Code::kTampered) << bit;
    file[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
}

TEST(TamperTest, AMaliciousOwnersCodedChunkIsRefusedAndLeavesZeros) {
  MemorySink sink;
  host::InsecureDeterministicEntropy entropy(1);
  auto writer =
      SealedWriter::Start(sink, TestKey(1), entropy, crypto::PreferredAeadBackend()).value();
  Manifest manifest = SmallManifest();
  graph::ChunkDescriptor& first = manifest.graph.nodes[0].weights.chunks[0];
  for (size_t i = 0; i < 7; ++i) {
    std::vector<std::byte> chunk = SmallChunk(manifest, i, 1);
    if (i == 0) chunk.resize(first.coded_bytes = 128);  // authentic, and no coded text
    ASSERT_TRUE(writer->AppendChunk(chunk).ok());
  }
  ASSERT_TRUE(writer->Finish(manifest).ok());
  for (const Way& way : AllWays()) {
    EXPECT_EQ(Outcome(sink.bytes, way), Code::kTampered);
    const host::FakeBlob blob(sink.bytes, way.access);
    const auto model = SealedModel::Open(blob, TestKey(1), way.backend).value();
    const auto opener = model->NewOpener().value();
    alignas(graph::kChunkAlignment) static std::byte room[graph::kDecoderContextBytes + 768];
    opener->LendDecodingRoom(room);
    std::vector<std::byte> plain(first.bytes, std::byte{7});
    EXPECT_EQ(opener->Open(graph::ChunkIndex{0}, plain), crypto::Verdict::kTampered);
    EXPECT_EQ(plain, std::vector<std::byte>(first.bytes));
  }
}

TEST(TamperTest, EveryPairOfChunksSwapped) {
  const File original = SealSmallModel();
  const auto chunks = ChunksOf(original);
  for (size_t i = 0; i < chunks.size(); ++i) {
    for (size_t j = i + 1; j < chunks.size(); ++j) {
      const uint32_t bytes = std::min(chunks[i].bytes, chunks[j].bytes);
      File file = original;
      std::swap_ranges(file.begin() + static_cast<ptrdiff_t>(chunks[i].offset),
                       file.begin() + static_cast<ptrdiff_t>(chunks[i].offset + bytes),
                       file.begin() + static_cast<ptrdiff_t>(chunks[j].offset));
      ExpectRefusedEveryWay(file, std::to_string(i) + " and " + std::to_string(j));
    }
  }
}

TEST(TamperTest, EveryTruncation) {
  const File original = SealSmallModel();
  for (size_t size = 0; size < original.size(); ++size) {
    const File file(original.begin(), original.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_TRUE(Refused(file, {AeadBackend::kOpenSsl, BlobAccess::kView})) << size;
    ASSERT_TRUE(Refused(file, {AeadBackend::kOpenSsl, BlobAccess::kRead})) << size;
  }
}

TEST(TamperTest, TruncationWithAHeaderThatAgrees) {
  const File original = SealSmallModel();
  for (const ChunkRecord& chunk : ChunksOf(original)) {
    // The manifest is moved to where the chunk was, and the header says so.
    const uint64_t manifest_offset = ChunksOf(original).back().offset + 320;
    File file(original.begin(), original.begin() + static_cast<ptrdiff_t>(chunk.offset));
    file.insert(file.end(), original.begin() + static_cast<ptrdiff_t>(manifest_offset),
                original.end());
    for (int i = 0; i < 8; ++i) {
      file[112 + static_cast<size_t>(i)] = static_cast<std::byte>(chunk.offset >> (8 * i));
    }
    ExpectRefusedEveryWay(file, std::to_string(chunk.offset));
  }
}

TEST(TamperTest, TrailingBytes) {
  for (const size_t extra : std::initializer_list<size_t>{1, 15, 16, 63, 64, 128, 4096}) {
    File file = SealSmallModel();
    file.resize(file.size() + extra);
    ExpectRefusedEveryWay(file, std::to_string(extra));
  }
}

TEST(TamperTest, ChunksOfAnotherSealAreRefused) {
  const File original = SealSmallModel();
  // The same owner, graph and weights sealed again; an older version; another owner.
  const SealOptions others[] = {
      {.entropy_seed = 2}, {.entropy_seed = 3, .weight_seed = 2}, {.key = 2, .entropy_seed = 4}};
  for (const SealOptions& options : others) {
    const File other = SealSmallModel(options);
    ASSERT_EQ(other.size(), original.size());
    for (const ChunkRecord& chunk : ChunksOf(original)) {
      File file = original;
      CopyRange(other, file, chunk.offset, chunk.bytes);
      ExpectRefusedEveryWay(file, std::to_string(chunk.offset));
    }
  }
}

TEST(TamperTest, ManifestOrHeaderOfAnotherSealAreRefused) {
  const File original = SealSmallModel();
  const uint64_t manifest_offset = ChunksOf(original).back().offset + 320;
  for (const uint64_t seed : {uint64_t{2}, uint64_t{3}}) {
    const File other = SealSmallModel({.entropy_seed = seed});
    File manifest_replaced = original;
    CopyRange(other, manifest_replaced, manifest_offset, original.size() - manifest_offset);
    ExpectRefusedEveryWay(manifest_replaced, "manifest");
    File header_replaced = original;
    CopyRange(other, header_replaced, 0, kHeaderBytes);
    ExpectRefusedEveryWay(header_replaced, "header");
    File both_replaced = manifest_replaced;
    CopyRange(other, both_replaced, 0, kHeaderBytes);
    ExpectRefusedEveryWay(both_replaced, "all but the chunks");
  }
}

TEST(TamperTest, WrongKey) {
  const File file = SealSmallModel();
  for (const Way& way : AllWays()) {
    const host::FakeBlob blob(file, way.access);
    const Status status = OpenAll(blob, TestKey(2), way.backend);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kTampered);
  }
}

#if !defined(__SANITIZE_THREAD__)
TEST(TamperTest, BytesThatChangeWhileTheyAreOpened) {
  const File file = SealSmallModel();
  for (const Way& way : AllWays()) {
    if (way.access != BlobAccess::kView) continue;
    const auto chunks = ChunksOf(file);
    const host::MutatingBlob blob(file, kHeaderBytes, chunks.back().offset + chunks.back().bytes,
                                  9);
    const auto model = SealedModel::Open(blob, TestKey(1), way.backend);
    ASSERT_TRUE(model.ok());
    const auto opener = (*model)->NewOpener().value();
    uint64_t accepted = 0;
    for (size_t turn = 0; turn < 20'000; ++turn) {
      const size_t i = turn % chunks.size();
      std::vector<std::byte> plain(chunks[i].bytes);
      if (opener->Open(static_cast<graph::ChunkIndex>(i), plain) != crypto::Verdict::kAuthentic) {
        continue;
      }
      ++accepted;
      ASSERT_EQ(plain, SmallChunk((*model)->manifest(), i, 1));
    }
    EXPECT_GT(accepted, 0U);
    EXPECT_GT(blob.flips(), 0U);
  }
}
#endif

}  // namespace
}  // namespace coracle::seal

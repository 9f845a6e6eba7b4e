#include "seal/writer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "host/fake/entropy.h"
#include "seal/format.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

/// Seals the small model with one thing changed.
Status SealChanged(Sink& sink, host::Entropy& entropy, void (*change)(Manifest&)) {
  TRY_ASSIGN(const auto writer,
             SealedWriter::Start(sink, TestKey(1), entropy, crypto::PreferredAeadBackend()));
  Manifest manifest = SmallManifest();
  for (size_t i = 0;; ++i) {
    std::vector<std::byte> chunk = SmallChunk(manifest, i, 1);
    if (chunk.empty()) break;
    TRY(writer->AppendChunk(chunk));
  }
  change(manifest);
  return writer->Finish(std::move(manifest));
}

Status SealChanged(void (*change)(Manifest&)) {
  MemorySink sink;
  host::InsecureDeterministicEntropy entropy(1);
  return SealChanged(sink, entropy, change);
}

TEST(WriterTest, SealingTwiceSharesNothing) {
  const auto a = SealSmallModel({.entropy_seed = 1});
  const auto b = SealSmallModel({.entropy_seed = 2});
  ASSERT_EQ(a.size(), b.size());
  EXPECT_FALSE(std::ranges::equal(Bytes(a).subspan(16, 16), Bytes(b).subspan(16, 16)));  // id
  EXPECT_TRUE(std::ranges::equal(Bytes(a).subspan(32, 16), Bytes(b).subspan(32, 16)));   // key id
  EXPECT_FALSE(std::ranges::equal(Bytes(a).subspan(48, 32), Bytes(b).subspan(48, 32)));  // salt
  size_t equal = 0;
  for (size_t i = kHeaderBytes; i < a.size(); ++i) equal += a[i] == b[i];
  EXPECT_LT(equal, a.size() / 64);
}

TEST(WriterTest, BothBackendsWriteTheSameFile) {
  if (crypto::PreferredAeadBackend() != crypto::AeadBackend::kIpsecMb) {
    GTEST_SKIP() << "ipsec-mb does not run on this processor";
  }
  EXPECT_EQ(SealSmallModel({.backend = crypto::AeadBackend::kIpsecMb}),
            SealSmallModel({.backend = crypto::AeadBackend::kOpenSsl}));
}

TEST(WriterTest, NoPlaintextIsInTheFile) {
  const auto file = SealSmallModel();
  for (const std::string_view text : {"small", "dense", "scale_a", "topk", "cat"}) {
    const Bytes bytes = std::as_bytes(std::span(text));
    EXPECT_EQ(std::search(file.begin(), file.end(), bytes.begin(), bytes.end()), file.end())
        << text;
  }
}

TEST(WriterTest, RefusesAManifestThatNoReaderWouldOpenAndSaysWhy) {
  EXPECT_TRUE(SealChanged([](Manifest&) {}).ok());
  const auto code = [](void (*change)(Manifest&)) { return SealChanged(change).error().code; };
  EXPECT_EQ(code([](Manifest& m) { m.labels = {"a\nb"}; }), Code::kMalformed);
  EXPECT_EQ(code([](Manifest& m) { m.name.assign(2000, 'x'); }), Code::kMalformed);
  EXPECT_EQ(code([](Manifest& m) { m.graph.stage = graph::Stage::kLogical; }), Code::kMalformed);
  EXPECT_EQ(code([](Manifest& m) { m.graph.outputs.clear(); }), Code::kMalformed);
  EXPECT_EQ(code([](Manifest& m) { m.graph.nodes[0].weights.chunks[0].bytes += 64; }),
            Code::kMalformed);
  EXPECT_EQ(code([](Manifest& m) { m.graph.nodes[3].weights.chunks.pop_back(); }),
            Code::kMalformed);
}

TEST(WriterTest, EverySinkAndEntropyFailureIsReported) {
  for (uint64_t call = 0; call < 9; ++call) {  // seven chunks, manifest, header
    FailingSink sink(call);
    host::InsecureDeterministicEntropy entropy(1);
    const Status status = SealChanged(sink, entropy, [](Manifest&) {});
    ASSERT_FALSE(status.ok()) << call;
    EXPECT_EQ(status.error().code, Code::kUnavailable);
  }
  for (uint64_t call = 0; call < 2; ++call) {
    MemorySink sink;
    host::FailingEntropy entropy(1, call);
    EXPECT_FALSE(SealChanged(sink, entropy, [](Manifest&) {}).ok());
    EXPECT_TRUE(sink.bytes.empty());
  }
}

TEST(WriterTest, AnUnfinishedFileDoesNotBeginLikeASealedModel) {
  FailingSink sink(8);  // the header fails
  host::InsecureDeterministicEntropy entropy(1);
  ASSERT_FALSE(SealChanged(sink, entropy, [](Manifest&) {}).ok());
  HeaderBytes header{};
  std::ranges::copy(Bytes(sink.inner.bytes).first(kHeaderBytes), header.begin());
  EXPECT_EQ(ParseHeader(header, sink.inner.bytes.size()).error().code, Code::kMalformed);
}

}  // namespace
}  // namespace coracle::seal

// Opening chunks allocates nothing, in either mode.

#include <gtest/gtest.h>

#include "crypto/test_malloc_count.h"
#include "host/fake/blob.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

TEST(ChunkOpenerTest, AllocatesNothing) {
  if (!crypto::MallocIsCounted()) GTEST_SKIP() << "a sanitizer has replaced malloc";
  for (const auto backend : {crypto::PreferredAeadBackend(), crypto::AeadBackend::kOpenSsl}) {
    for (const auto& [access, weights] : {std::pair(host::BlobAccess::kView, Weights::kNoise),
                                          std::pair(host::BlobAccess::kRead, Weights::kNoise),
                                          std::pair(host::BlobAccess::kView, Weights::kCoded),
                                          std::pair(host::BlobAccess::kRead, Weights::kCoded)}) {
      const host::FakeBlob blob(SealSmallModel({.weights = weights}), access);
      const auto model = SealedModel::Open(blob, TestKey(1), backend).value();
      const auto opener = model->NewOpener().value();
      std::vector<std::byte> slot(graph::kMaxChunkBytes);
      alignas(64) static std::byte room[graph::kDecoderContextBytes + graph::kMaxChunkBytes];
      opener->LendDecodingRoom(room);
      uint32_t authentic = 0;
      const uint64_t before = crypto::MallocCount();
      for (uint32_t i = 0; i < model->manifest().chunks.size(); ++i) {
        const std::span<std::byte> plain =
            std::span(slot).first(model->manifest().chunks[i].plain_bytes);
        authentic +=
            opener->Open(graph::ChunkIndex{i}, plain) == crypto::Verdict::kAuthentic ? 1 : 0;
      }
      EXPECT_EQ(crypto::MallocCount(), before);
      EXPECT_EQ(authentic, 7U);
    }
  }
}

}  // namespace
}  // namespace coracle::seal

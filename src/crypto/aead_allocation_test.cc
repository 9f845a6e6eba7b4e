// Sealing and opening allocate nothing: a prediction must not touch the heap.

#include <gtest/gtest.h>

#include "crypto/test_aeads.h"
#include "crypto/test_bytes.h"
#include "crypto/test_malloc_count.h"

namespace coracle::crypto {
namespace {

TEST(AeadAllocationTest, SealAndOpenAllocateNothing) {
  if (!MallocIsCounted()) GTEST_SKIP() << "a sanitizer has replaced malloc";
  for (const AeadMaker& maker : AllAeads()) {
    const auto aead = maker.make(KeyOf(Noise(32, 1)));
    const auto associated = Noise(32, 2);
    const auto plain = Noise(65536, 3);
    std::vector<std::byte> text(plain.size());
    std::vector<std::byte> opened(plain.size());
    Tag tag{};
    Nonce nonce{};
    uint64_t authentic = 0;
    const uint64_t before = MallocCount();
    for (int i = 0; i < 100; ++i) {
      nonce[0] = static_cast<std::byte>(i);
      aead->Seal(nonce, associated, plain, text, tag);
      authentic += aead->Open(nonce, associated, text, tag, opened) == Verdict::kAuthentic;
    }
    EXPECT_EQ(MallocCount(), before) << maker.name;
    EXPECT_EQ(authentic, 100U);
  }
}

TEST(AeadAllocationTest, TheCounterCounts) {
  if (!MallocIsCounted()) GTEST_SKIP() << "a sanitizer has replaced malloc";
  const uint64_t before = MallocCount();
  const auto bytes = Noise(1000, 1);
  EXPECT_GT(MallocCount(), before);
  EXPECT_EQ(bytes.size(), 1000U);
}

}  // namespace
}  // namespace coracle::crypto

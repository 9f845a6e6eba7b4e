#include "runtime/row_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <thread>

#include "base/test_environment.h"
#include "crypto/test_bytes.h"
#include "host/fake/entropy.h"
#include "host/fake/hostile_hand.h"
#include "host/fake/memory.h"

namespace coracle::runtime {
namespace {

using crypto::Noise;
using crypto::Verdict;

constexpr graph::TensorIndex kOne{5};
constexpr graph::TensorIndex kOther{6};
constexpr StoreSlot kSlot{0};
constexpr StoreSlot kOtherSlot{1};
/// Two tensors alike: 10 rows of 12 bytes in blocks of 4, 4 and 2 rows.
constexpr StoredTensor kTensors[] = {{kOne, 10, 12, 4}, {kOther, 10, 12, 4}};
constexpr uint64_t kFullBlock = 48;
constexpr uint64_t kStride = 64;  // 48 bytes and a tag
constexpr uint64_t kTensorStride = 3 * kStride;

bool IsZero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// A store in the hands of a fake host, which lends it region 0.
class RowStoreTest : public testing::TestWithParam<crypto::AeadBackend> {
 protected:
  void SetUp() override {
    auto seal = ProcessSeal::Create(entropy_, memory_, GetParam());
    if (!seal.ok()) GTEST_SKIP() << seal.error().message;
    seal_ = std::move(seal).value();
    store_ = RowStore::Create(kTensors, 2, *seal_, outside_).value();
    for (const StoreSlot slot : {kSlot, kOtherSlot}) {
      for (uint64_t block = 0; block < 3; ++block) Seal(slot, block, 10 * Position(slot) + block);
    }
  }

  std::vector<std::byte> Content(StoreSlot slot, uint64_t block, uint64_t seed) const {
    return Noise(store_->BlockBytes(slot, block), seed);
  }
  void Seal(StoreSlot slot, uint64_t block, uint64_t seed) {
    ASSERT_EQ(store_->SealBlock(0, slot, block, Content(slot, block, seed),
                                counters_[Position(slot)][block]),
              SealOutcome::kSealed);
  }
  /// Whether the block opens as `seed`'s content; a refusal must leave zeros.
  bool Opens(StoreSlot slot, uint64_t block, uint64_t seed) {
    return OpensUnder(counters_[Position(slot)][block], slot, block, seed);
  }
  bool OpensUnder(SealCounter counter, StoreSlot slot, uint64_t block, uint64_t seed) {
    std::vector<std::byte> rows(store_->BlockBytes(slot, block), std::byte{0xee});
    if (store_->OpenBlock(1, slot, block, rows, counter) == Verdict::kTampered) {
      EXPECT_TRUE(IsZero(rows));
      return false;
    }
    EXPECT_EQ(rows, Content(slot, block, seed));
    return true;
  }

  host::InsecureDeterministicEntropy entropy_{3};
  host::FakeMemory memory_;
  host::FakeOutsideMemory outside_;
  std::unique_ptr<ProcessSeal> seal_;
  std::unique_ptr<RowStore> store_;
  std::vector<std::vector<SealCounter>> counters_{2, std::vector<SealCounter>(3, kNeverSealed)};
};

TEST_P(RowStoreTest, OpensWhatItSealed) {
  for (const StoreSlot slot : {kSlot, kOtherSlot}) {
    for (uint64_t block = 0; block < 3; ++block) {
      EXPECT_TRUE(Opens(slot, block, 10 * Position(slot) + block));
    }
  }
  Seal(kSlot, 1, 77);
  EXPECT_TRUE(Opens(kSlot, 1, 77));
  EXPECT_EQ(store_->BlockBytes(kSlot, 2), 24U);
  EXPECT_EQ(store_->outside_bytes(), 2 * kTensorStride);
  EXPECT_EQ(store_->stats().sealed_bytes, 240U + kFullBlock);
  EXPECT_EQ(store_->stats().opened_bytes, 240U + kFullBlock);
}

TEST_P(RowStoreTest, LeavesNoPlaintextOutside) {
  for (uint64_t block = 0; block < 3; ++block) {
    const auto content = Content(kSlot, block, block);
    const Bytes outside = outside_.bytes(0);
    EXPECT_EQ(std::search(outside.begin(), outside.end(), content.begin(), content.begin() + 8),
              outside.end());
  }
}

TEST_P(RowStoreTest, RefusesEveryFlippedBitOfTextAndTag) {
  for (uint64_t block = 0; block < 3; ++block) {
    const uint64_t first = 8 * block * kStride;
    const uint64_t bits = 8 * (store_->BlockBytes(kSlot, block) + crypto::kTagBytes);
    for (uint64_t bit = first; bit < first + bits; ++bit) {
      outside_.Flip(0, bit);
      EXPECT_FALSE(Opens(kSlot, block, block)) << bit;
      outside_.Flip(0, bit);
    }
    EXPECT_TRUE(Opens(kSlot, block, block));
  }
}

TEST_P(RowStoreTest, RefusesSwappedBlocks) {
  outside_.Swap(0, 0, kStride, kStride);  // two blocks of a tensor
  EXPECT_FALSE(Opens(kSlot, 0, 0));
  EXPECT_FALSE(Opens(kSlot, 1, 1));
  outside_.Swap(0, 0, kStride, kStride);
  outside_.Swap(0, 0, kTensorStride, kStride);  // the same rows of two tensors
  EXPECT_FALSE(Opens(kSlot, 0, 0));
  EXPECT_FALSE(Opens(kOtherSlot, 0, 10));
  outside_.Swap(0, 0, kTensorStride, kStride);
  EXPECT_TRUE(Opens(kSlot, 0, 0));
}

TEST_P(RowStoreTest, RefusesOlderBlocksAndDelayedOnes) {
  const auto older = outside_.Snapshot(0);
  const SealCounter old_counter = counters_[0][0];
  Seal(kSlot, 0, 50);
  const auto newer = outside_.Snapshot(0);
  EXPECT_TRUE(Opens(kSlot, 0, 50));
  outside_.Replay(0, 0, older);
  EXPECT_FALSE(Opens(kSlot, 0, 50));
  EXPECT_TRUE(OpensUnder(old_counter, kSlot, 0, 0)) << "the counter alone tells old from new";
  outside_.Replay(0, 0, newer);
  EXPECT_TRUE(Opens(kSlot, 0, 50));
  EXPECT_FALSE(OpensUnder(old_counter, kSlot, 0, 0));
}

TEST_P(RowStoreTest, RefusesWhatWasNeverSealed) {
  EXPECT_FALSE(OpensUnder(kNeverSealed, kSlot, 0, 0));
}

/// The blocks of a convoy's inputs follow one another, each input's last one short, and none passes
/// for another's.
TEST_P(RowStoreTest, KeepsTheInputsOfAConvoyApart) {
  const StoredTensor convoy[] = {{kOne, 10, 12, 4, 3}};
  EXPECT_EQ(convoy[0].block_count(), 9U);
  const size_t region = outside_.region_count();
  store_ = RowStore::Create(convoy, 2, *seal_, outside_).value();
  EXPECT_EQ(store_->outside_bytes(), 9 * kStride);
  counters_[0].assign(9, kNeverSealed);
  for (uint64_t block = 0; block < 9; ++block) {
    EXPECT_EQ(store_->BlockBytes(kSlot, block), block % 3 == 2 ? 24U : kFullBlock);
    Seal(kSlot, block, block);
  }
  for (uint64_t block = 0; block < 9; ++block) EXPECT_TRUE(Opens(kSlot, block, block));
  outside_.Swap(region, 0, 3 * kStride, kStride);  // the same rows of two inputs
  EXPECT_FALSE(Opens(kSlot, 0, 0));
  EXPECT_FALSE(OpensUnder(counters_[0][3], kSlot, 0, 3)) << "even under its own counter";
}

/// Even under the right counter, a block is one of its lease, tensor and rows only.
TEST_P(RowStoreTest, BindsLeaseTensorAndRows) {
  const auto shown = outside_.Snapshot(0);
  const auto opens_in = [&](StoredTensor tensor, uint64_t block) {
    const size_t region = outside_.region_count();
    const StoredTensor only[] = {tensor};
    const auto other = RowStore::Create(only, 1, *seal_, outside_).value();
    outside_.Replay(region, 0, std::span(shown).first(outside_.bytes(region).size()));
    std::vector<std::byte> rows(other->BlockBytes(kSlot, block), std::byte{0xee});
    const Verdict verdict = other->OpenBlock(0, kSlot, block, rows, counters_[0][block]);
    return verdict == Verdict::kAuthentic || !IsZero(rows);
  };
  EXPECT_FALSE(opens_in(kTensors[0], 0)) << "another lease";
  // Within the lease: another tensor's slot, another block, with the text and counter of this one.
  outside_.Swap(0, 0, kTensorStride, kStride);
  EXPECT_FALSE(OpensUnder(counters_[0][0], kOtherSlot, 0, 0)) << "another tensor";
  outside_.Replay(0, 0, shown);
  outside_.Swap(0, 0, kStride, kStride);
  EXPECT_FALSE(OpensUnder(counters_[0][0], kSlot, 1, 0)) << "other rows";
}

TEST_P(RowStoreTest, RefusesARegionCutShort) {
  std::ranges::fill(outside_.bytes(0).last(kStride + 5), std::byte{0});  // pages taken back
  EXPECT_FALSE(Opens(kOtherSlot, 2, 12));
  EXPECT_FALSE(Opens(kOtherSlot, 1, 11));
  EXPECT_TRUE(Opens(kOtherSlot, 0, 10));
  outside_.CutNext(1);
  EXPECT_EQ(RowStore::Create(kTensors, 1, *seal_, outside_).error().code, Code::kUnavailable);
}

TEST_P(RowStoreTest, WithoutAKeyNothingOpens) {
  memory_.WipeAsForkDoes();
  EXPECT_FALSE(Opens(kSlot, 0, 0));
  const auto before = outside_.Snapshot(0);
  EXPECT_EQ(store_->SealBlock(0, kSlot, 0, Content(kSlot, 0, 1), counters_[0][0]),
            SealOutcome::kRefused);
  EXPECT_EQ(counters_[0][0], kNeverSealed);
  EXPECT_EQ(outside_.Snapshot(0), before);
  EXPECT_EQ(RowStore::Create(kTensors, 1, *seal_, outside_).error().code, Code::kUnavailable);
}

TEST_P(RowStoreTest, RefusesWhatNoMemoryHolds) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  for (const StoredTensor& tensor :
       {StoredTensor{kOne, 4, kMost / 2, 4}, StoredTensor{kOne, kMost, 64, 1},
        StoredTensor{kOne, 2, kMaxRowBlockBytes, 2}}) {
    const StoredTensor only[] = {tensor};
    EXPECT_EQ(RowStore::Create(only, 1, *seal_, outside_).error().code, Code::kUnsupported);
  }
}

TEST_P(RowStoreTest, WorkersSealAndOpenSideBySide) {
  constexpr StoredTensor kLarge[] = {{kOne, 64, 100, 1}};
  const auto store = RowStore::Create(kLarge, 2, *seal_, outside_).value();
  std::vector<SealCounter> counters(64);
  std::vector<std::vector<SealCounter>> seen(2);
  std::vector<uint64_t> wrong(2);
  const auto work = [&](uint32_t worker) {
    std::vector<std::byte> rows(100);
    for (uint64_t round = 0; round < 50; ++round) {
      for (uint64_t block = worker; block < 64; block += 2) {
        const auto content = Noise(100, 64 * round + block);
        wrong[worker] += store->SealBlock(worker, kSlot, block, content, counters[block]) !=
                         SealOutcome::kSealed;
        seen[worker].push_back(counters[block]);
        wrong[worker] +=
            store->OpenBlock(worker, kSlot, block, rows, counters[block]) != Verdict::kAuthentic ||
            rows != content;
      }
    }
  };
  {
    const std::jthread other([&] { work(1); });
    work(0);
  }
  EXPECT_EQ(wrong, std::vector<uint64_t>(2));
  std::set<SealCounter> all(seen[0].begin(), seen[0].end());
  all.insert(seen[1].begin(), seen[1].end());
  EXPECT_EQ(all.size(), 64U * 50U) << "no nonce was used twice";
  EXPECT_EQ(store->stats().sealed_bytes, 64U * 50U * 100U);
}

TEST_P(RowStoreTest, AHostThatChangesMemoryMeanwhileIsRefused) {
#if defined(CORACLE_TSAN)
  GTEST_SKIP() << "the race is deliberate";
#endif
  constexpr StoredTensor kLarge[] = {{kOne, 8, 1021, 4}};
  const size_t region = outside_.region_count();
  const auto store = RowStore::Create(kLarge, 1, *seal_, outside_).value();
  const host::HostileHand hand(outside_.bytes(region), 9);
  const auto content = Noise(store->BlockBytes(kSlot, 1), 3);
  std::vector<std::byte> rows(content.size());
  uint64_t accepted = 0;
  uint64_t wrong = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < end) {
    SealCounter counter{};
    ASSERT_EQ(store->SealBlock(0, kSlot, 1, content, counter), SealOutcome::kSealed);
    if (store->OpenBlock(0, kSlot, 1, rows, counter) == Verdict::kTampered) {
      wrong += !IsZero(rows);
    } else {
      ++accepted;
      wrong += rows != content;
    }
  }
  EXPECT_GT(accepted, 0U);
  EXPECT_EQ(wrong, 0U);
}

INSTANTIATE_TEST_SUITE_P(Backends, RowStoreTest,
                         testing::Values(crypto::AeadBackend::kIpsecMb,
                                         crypto::AeadBackend::kOpenSsl));

}  // namespace
}  // namespace coracle::runtime

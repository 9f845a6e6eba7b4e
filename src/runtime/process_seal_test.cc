#include "runtime/process_seal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <thread>

#include "crypto/test_bytes.h"
#include "host/fake/entropy.h"
#include "host/fake/memory.h"

namespace coracle::runtime {
namespace {

using crypto::Noise;
using crypto::Verdict;

constexpr crypto::AeadBackend kBackends[] = {crypto::AeadBackend::kIpsecMb,
                                             crypto::AeadBackend::kOpenSsl};

bool IsZero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(NonceCounterTest, GivesEachNumberOnceOverThreads) {
  constexpr size_t kEach = 20'000;
  NonceCounter counter;
  std::vector<std::vector<SealCounter>> drawn(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : drawn) {
      threads.emplace_back([&counter, &mine] {
        for (size_t i = 0; i < kEach; ++i) mine.push_back(counter.Draw().value());
      });
    }
  }
  std::set<SealCounter> all;
  for (const auto& mine : drawn) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 4 * kEach);
  EXPECT_FALSE(all.contains(kNeverSealed));
}

TEST(NonceCounterTest, EndsRatherThanBeginAgain) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  NonceCounter counter(kMost - 1);
  EXPECT_EQ(counter.Draw(), static_cast<SealCounter>(kMost - 1));
  EXPECT_EQ(counter.Draw(), std::nullopt);
  EXPECT_EQ(counter.Draw(), std::nullopt);
  NonceCounter wiped(0);
  EXPECT_EQ(wiped.Draw(), std::nullopt);
}

class ProcessSealTest : public testing::TestWithParam<crypto::AeadBackend> {
 protected:
  void SetUp() override {
    auto seal = ProcessSeal::Create(entropy_, memory_, GetParam());
    if (!seal.ok()) GTEST_SKIP() << seal.error().message;
    seal_ = std::move(seal).value();
  }

  host::InsecureDeterministicEntropy entropy_{3};
  host::FakeMemory memory_;
  std::unique_ptr<ProcessSeal> seal_;
};

TEST_P(ProcessSealTest, WhatOneSealerSealsAnotherOpens) {
  const auto first = seal_->NewSealer().value();
  const auto second = seal_->NewSealer().value();
  const auto associated = Noise(20, 1);
  const auto plain = Noise(1000, 2);
  std::vector<std::byte> text(plain.size());
  std::vector<std::byte> again(plain.size());
  std::vector<std::byte> opened(plain.size());
  crypto::Tag tag{};
  crypto::Tag tag_again{};
  SealCounter counter{};
  SealCounter counter_again{};
  ASSERT_EQ(first->Seal(associated, plain, text, tag, counter), SealOutcome::kSealed);
  ASSERT_EQ(second->Seal(associated, plain, again, tag_again, counter_again), SealOutcome::kSealed);
  EXPECT_NE(counter, kNeverSealed);
  EXPECT_NE(counter, counter_again);
  EXPECT_NE(text, again);
  EXPECT_EQ(second->Open(counter, associated, text, tag, opened), Verdict::kAuthentic);
  EXPECT_EQ(opened, plain);
  for (const SealCounter wrong : {counter_again, kNeverSealed}) {
    EXPECT_EQ(second->Open(wrong, associated, text, tag, opened), Verdict::kTampered);
    EXPECT_TRUE(IsZero(opened));
  }
}

TEST_P(ProcessSealTest, OtherSealsHaveOtherKeys) {
  const auto other = ProcessSeal::Create(entropy_, memory_, GetParam()).value();
  const auto plain = Noise(64, 2);
  std::vector<std::byte> text(plain.size());
  std::vector<std::byte> opened(plain.size());
  crypto::Tag tag{};
  SealCounter counter{};
  ASSERT_EQ(seal_->NewSealer().value()->Seal({}, plain, text, tag, counter), SealOutcome::kSealed);
  EXPECT_EQ(other->NewSealer().value()->Open(counter, {}, text, tag, opened), Verdict::kTampered);
}

TEST_P(ProcessSealTest, LeasesDiffer) {
  EXPECT_NE(seal_->NewLease().value(), seal_->NewLease().value());
}

TEST_P(ProcessSealTest, WithoutItsKeyItRefusesEverything) {
  const auto sealer = seal_->NewSealer().value();
  const auto plain = Noise(64, 2);
  std::vector<std::byte> text(plain.size());
  std::vector<std::byte> opened(plain);
  crypto::Tag tag{};
  SealCounter counter{};
  ASSERT_EQ(sealer->Seal({}, plain, text, tag, counter), SealOutcome::kSealed);
  memory_.WipeAsForkDoes();
  EXPECT_EQ(sealer->Open(counter, {}, text, tag, opened), Verdict::kTampered);
  EXPECT_TRUE(IsZero(opened));
  const auto before = text;
  EXPECT_EQ(sealer->Seal({}, plain, text, tag, counter), SealOutcome::kRefused);
  EXPECT_EQ(counter, kNeverSealed);
  EXPECT_EQ(text, before) << "nothing was sealed under a zeroed key";
  EXPECT_EQ(seal_->NewSealer().error().code, Code::kUnavailable);
  EXPECT_EQ(seal_->NewLease().error().code, Code::kUnavailable);
}

TEST_P(ProcessSealTest, IsNotMadeWithoutEntropyOrMemory) {
  host::FailingEntropy no_entropy(1, 0);
  EXPECT_EQ(ProcessSeal::Create(no_entropy, memory_, GetParam()).error().code, Code::kUnavailable);
  for (const uint64_t call : {0U, 1U}) {
    host::FakeMemory refusing;
    refusing.RefuseFrom(call);
    EXPECT_EQ(ProcessSeal::Create(entropy_, refusing, GetParam()).error().code, Code::kUnavailable);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ProcessSealTest, testing::ValuesIn(kBackends));

}  // namespace
}  // namespace coracle::runtime

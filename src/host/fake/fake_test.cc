#include <gtest/gtest.h>

#include <algorithm>

#include "host/fake/blob.h"
#include "host/fake/clock.h"
#include "host/fake/entropy.h"
#include "host/fake/memory.h"
#include "host/fake/mutating_blob.h"

namespace coracle::host {
namespace {

std::vector<std::byte> Counting(size_t bytes) {
  std::vector<std::byte> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i + 1);
  return out;
}

/// What a call shows, in either mode.
std::vector<std::byte> Shown(const FakeBlob& blob, uint64_t offset, uint64_t bytes) {
  std::vector<std::byte> out(bytes);
  if (blob.access() == BlobAccess::kView) {
    std::ranges::copy(blob.View(offset, bytes), out.begin());
  } else {
    EXPECT_EQ(blob.Read(offset, out), ReadOutcome::kDelivered);
  }
  return out;
}

TEST(FakeBlobTest, MisbehavesAtTheChosenCallOnly) {
  const auto bytes = Counting(200);
  const std::vector<std::byte> truth(bytes.begin() + 10, bytes.begin() + 110);
  for (const BlobAccess access : {BlobAccess::kView, BlobAccess::kRead}) {
    for (const BlobFault fault : {BlobFault::kShorten, BlobFault::kCorrupt, BlobFault::kReplay}) {
      const BlobFaultPlan plan{.fault = fault, .call = 1, .seed = 3};
      const FakeBlob blob(bytes, access, plan);
      EXPECT_EQ(Shown(blob, 10, 100), truth) << plan.ToString();
      EXPECT_NE(Shown(blob, 10, 100), truth) << plan.ToString();
      EXPECT_EQ(Shown(blob, 10, 100), truth) << plan.ToString();
      EXPECT_EQ(blob.calls(), 3U);
    }
  }
  const FakeBlob failing(bytes, BlobAccess::kRead, {.fault = BlobFault::kFail, .call = 0});
  std::vector<std::byte> out(5);
  EXPECT_EQ(failing.Read(0, out), ReadOutcome::kFailed);
  EXPECT_EQ(failing.Read(0, out), ReadOutcome::kDelivered);
  EXPECT_EQ(failing.Read(198, out), ReadOutcome::kFailed);
}

TEST(MutatingBlobTest, ChangesOnlyItsRange) {
  MutatingBlob blob(std::vector<std::byte>(256), 64, 128, 1);
  uint64_t changed = 0;
  std::vector<std::byte> out(256);
  for (int turn = 0; changed == 0 && turn < 10'000'000; ++turn) {
    ASSERT_EQ(blob.Read(0, out), ReadOutcome::kDelivered);
    changed += static_cast<uint64_t>(
        std::ranges::count_if(out, [](std::byte byte) { return byte != std::byte{0}; }));
    ASSERT_TRUE(std::ranges::all_of(std::span(out).first(64),
                                    [](std::byte byte) { return byte == std::byte{0}; }));
    ASSERT_TRUE(std::ranges::all_of(std::span(out).subspan(128),
                                    [](std::byte byte) { return byte == std::byte{0}; }));
  }
  EXPECT_GT(changed, 0U);
}

TEST(FakeEntropyTest, IsTheSameForASeed) {
  std::vector<std::byte> a(100);
  std::vector<std::byte> b(100);
  ASSERT_TRUE(InsecureDeterministicEntropy(5).Fill(a).ok());
  ASSERT_TRUE(InsecureDeterministicEntropy(5).Fill(b).ok());
  EXPECT_EQ(a, b);
  ASSERT_TRUE(InsecureDeterministicEntropy(6).Fill(b).ok());
  EXPECT_NE(a, b);
  FailingEntropy failing(1, 1);
  EXPECT_TRUE(failing.Fill(a).ok());
  EXPECT_EQ(failing.Fill(a).error().code, Code::kUnavailable);
}

TEST(FakeMemoryTest, WipesOnlyWhatIsForTheProcess) {
  FakeMemory memory;
  const auto keys = memory.ReserveForProcess(100).value();
  const auto plain = memory.Reserve(100).value();
  { const auto gone = memory.ReserveForProcess(10).value(); }
  keys->bytes()[99] = plain->bytes()[99] = std::byte{1};
  memory.WipeAsForkDoes();
  EXPECT_EQ(keys->bytes()[99], std::byte{0});
  EXPECT_EQ(plain->bytes()[99], std::byte{1});
  memory.RefuseFrom(0);
  EXPECT_EQ(memory.ReserveForProcess(1).error().code, Code::kUnavailable);
}

TEST(FakeOutsideMemoryTest, IsInTheHandsOfTheTest) {
  FakeOutsideMemory outside;
  const auto region = outside.Reserve(8).value();
  std::ranges::copy(Counting(8), region->bytes().begin());
  const auto before = outside.Snapshot(0);
  outside.Flip(0, 9);
  EXPECT_EQ(region->bytes()[1], std::byte{0});
  outside.Swap(0, 0, 4, 2);
  EXPECT_EQ(region->bytes()[0], std::byte{5});
  EXPECT_EQ(region->bytes()[4], std::byte{1});
  outside.Replay(0, 0, before);
  EXPECT_TRUE(std::ranges::equal(region->bytes(), Counting(8)));
  outside.CutNext(3);
  EXPECT_EQ(outside.Reserve(8).value()->bytes().size(), 5U);
  EXPECT_EQ(outside.region_count(), 2U);
}

TEST(FakeClockTest, StandsStillUntilMoved) {
  FakeClock clock(5);
  EXPECT_EQ(clock.NowNanoseconds(), 5U);
  clock.Advance(10);
  EXPECT_EQ(clock.NowNanoseconds(), 15U);
  FakeClock stepping(0, 3);
  EXPECT_EQ(stepping.NowNanoseconds(), 0U);
  EXPECT_EQ(stepping.NowNanoseconds(), 3U);
}

}  // namespace
}  // namespace coracle::host

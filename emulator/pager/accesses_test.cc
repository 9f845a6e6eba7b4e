// Pages that are held for the kernel.
#include <errno.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "emulator/pager/test_pager.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kLimit = uint64_t{1} << 20;  // 256 pages

uintptr_t AddressOf(const void* at) { return reinterpret_cast<uintptr_t>(at); }

class AccessesTest : public ::testing::TestWithParam<Moves> {
 protected:
  void SetUp() override { SKIP_WITHOUT_PAGER(); }

  /// Touches more than the limit, so that all that may go is gone.
  static void Press(std::byte* other) {
    for (uint64_t i = 0; i < 2 * kLimit; i += kPageBytes) other[i] ^= std::byte{1};
  }
};

HoldOutcome HoldNow(TestPager& pager, const void* at, uint64_t bytes, Hold& hold) {
  const SignalsBlocked blocked;
  return pager->HoldBytes(AddressOf(at), bytes, hold);
}

void ReleaseNow(TestPager& pager, Hold& hold) {
  const SignalsBlocked blocked;
  pager->Release(hold);
}

TEST_P(AccessesTest, TheKernelReadsAndWritesWhatIsHeld) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kBytes = 5 * kPageBytes;
  std::byte* buffer = pager.Map(kLimit / 2);
  std::byte* other = pager.Map(2 * kLimit);
  std::memset(buffer, 0x42, kLimit / 2);
  Press(other);
  ASSERT_EQ(PresentPages(buffer, kLimit / 2), 0u);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  // Unheld: the kernel does not fault pages in (SIGBUS mode).
  EXPECT_EQ(write(ends[1], buffer + 100, kBytes), -1);
  EXPECT_EQ(errno, EFAULT);
  Hold from;
  ASSERT_EQ(HoldNow(pager, buffer + 100, kBytes, from), HoldOutcome::kHeld);
  Press(other);
  EXPECT_EQ(PresentPages(buffer, 6 * kPageBytes), 6u);
  EXPECT_EQ(pager.record().pinned_bytes, 6 * kPageBytes);
  ASSERT_EQ(write(ends[1], buffer + 100, kBytes), static_cast<ssize_t>(kBytes));
  ReleaseNow(pager, from);
  EXPECT_EQ(pager.record().pinned_bytes, 0u);
  Press(other);
  EXPECT_EQ(PresentPages(buffer, kLimit / 2), 0u);
  // And into pages that nobody has touched yet.
  std::byte* fresh = pager.Map(kBytes);
  Hold into;
  ASSERT_EQ(HoldNow(pager, fresh, kBytes, into), HoldOutcome::kHeld);
  ASSERT_EQ(read(ends[0], fresh, kBytes), static_cast<ssize_t>(kBytes));
  ReleaseNow(pager, into);
  Press(other);
  for (uint64_t i = 0; i < kBytes; ++i) ASSERT_EQ(fresh[i], std::byte{0x42});
  close(ends[0]);
  close(ends[1]);
  pager.Unmap(fresh, kBytes);
  pager.Unmap(buffer, kLimit / 2);
  pager.Unmap(other, 2 * kLimit);
}

TEST_P(AccessesTest, HoldsAreCountedTwice) {
  TestPager pager(kLimit, GetParam());
  std::byte* buffer = pager.Map(kPageBytes);
  std::byte* other = pager.Map(2 * kLimit);
  Hold first;
  Hold second;
  ASSERT_EQ(HoldNow(pager, buffer, 1, first), HoldOutcome::kHeld);
  ASSERT_EQ(HoldNow(pager, buffer + 8, 8, second), HoldOutcome::kHeld);
  ReleaseNow(pager, first);
  Press(other);
  EXPECT_EQ(PresentPages(buffer, kPageBytes), 1u);
  ReleaseNow(pager, second);
  ReleaseNow(pager, second);  // empty: nothing
  Press(other);
  EXPECT_EQ(PresentPages(buffer, kPageBytes), 0u);
  pager.Unmap(buffer, kPageBytes);
  pager.Unmap(other, 2 * kLimit);
}

TEST_P(AccessesTest, MoreThanTheLimitLeavesFreeIsRefused) {
  TestPager pager(kLimit, GetParam());
  std::byte* buffer = pager.Map(2 * kLimit);
  Hold hold;
  EXPECT_EQ(HoldNow(pager, buffer, 2 * kLimit, hold), HoldOutcome::kTooLarge);
  EXPECT_EQ(HoldNow(pager, buffer, kLimit, hold), HoldOutcome::kTooLarge);
  EXPECT_EQ(hold.count, 0u);
  EXPECT_EQ(pager.record().pinned_bytes, 0u);
  uint64_t held_bytes = 0;
  const uint64_t step = pager->HoldBytesMax();
  ASSERT_GE(step, 16 * kPageBytes);
  // Piece by piece until it is refused: then other pages still come and go.
  std::vector<Hold> holds;
  for (; held_bytes < 2 * kLimit; held_bytes += step) {
    Hold piece;
    const HoldOutcome outcome = HoldNow(pager, buffer + held_bytes, step, piece);
    if (outcome == HoldOutcome::kTooLarge) break;
    ASSERT_EQ(outcome, HoldOutcome::kHeld);
    holds.push_back(piece);
  }
  EXPECT_GT(held_bytes, kLimit / 2);
  EXPECT_LT(held_bytes, kLimit);
  std::byte* other = pager.Map(2 * kLimit);
  Press(other);
  EXPECT_EQ(PresentPages(buffer, held_bytes), held_bytes / kPageBytes);
  EXPECT_LE(pager.record().resident_peak_bytes, kLimit);
  for (Hold& piece : holds) ReleaseNow(pager, piece);
  EXPECT_EQ(pager.record().pinned_bytes, 0u);
  pager.Unmap(buffer, 2 * kLimit);
  pager.Unmap(other, 2 * kLimit);
}

TEST_P(AccessesTest, PagesAreFoundBehindHeldOnes) {
  TestPager pager(kLimit, GetParam());
  // Half of the memory proven (it comes back soon), the rest held.
  constexpr uint64_t kHalf = kLimit / 2;
  std::byte* proven = pager.Map(kHalf);
  std::byte* buffer = pager.Map(2 * kLimit);
  for (uint32_t turn = 0; turn < 8; ++turn) {
    for (uint64_t i = 0; i < kHalf; i += kPageBytes) {
      proven[i] ^= std::byte{1};
      buffer[(turn * kHalf + i) % (2 * kLimit)] ^= std::byte{1};
    }
  }
  Hold hold;
  const uint64_t held_bytes = kLimit / 2 - 20 * kPageBytes;
  ASSERT_EQ(HoldNow(pager, buffer, held_bytes, hold), HoldOutcome::kHeld);
  for (uint64_t i = held_bytes; i < 2 * kLimit; i += kPageBytes) buffer[i] ^= std::byte{1};
  EXPECT_EQ(PresentPages(buffer, held_bytes), held_bytes / kPageBytes);
  ReleaseNow(pager, hold);
  pager.Unmap(proven, kHalf);
  pager.Unmap(buffer, 2 * kLimit);
}

TEST_P(AccessesTest, WhatIsNotOursNeedsNoHold) {
  TestPager pager(kLimit, GetParam());
  std::vector<std::byte> ordinary(4 * kLimit);
  Hold hold;
  EXPECT_EQ(HoldNow(pager, ordinary.data(), ordinary.size(), hold), HoldOutcome::kHeld);
  EXPECT_EQ(pager.record().resident_bytes, kPageBytes);
  EXPECT_EQ(HoldNow(pager, reinterpret_cast<void*>(64), 100, hold), HoldOutcome::kHeld);
  EXPECT_EQ(HoldNow(pager, reinterpret_cast<void*>(UINTPTR_MAX - 10), 100, hold),
            HoldOutcome::kNotMapped);
  ReleaseNow(pager, hold);
}

TEST_P(AccessesTest, HoldsSurviveThePagesEnd) {
  TestPager pager(kLimit, GetParam());
  std::byte* buffer = pager.Map(8 * kPageBytes);
  Hold hold;
  ASSERT_EQ(HoldNow(pager, buffer, 8 * kPageBytes, hold), HoldOutcome::kHeld);
  {
    const SignalsBlocked blocked;
    ASSERT_EQ(pager->Advise(AddressOf(buffer), 4 * kPageBytes, MADV_DONTNEED), 0);
  }
  buffer[0] = std::byte{1};  // anew, and held again
  pager.Unmap(buffer + 4 * kPageBytes, 4 * kPageBytes);
  ReleaseNow(pager, hold);
  EXPECT_EQ(pager.record().pinned_bytes, 0u);
  std::byte* other = pager.Map(2 * kLimit);
  Press(other);
  EXPECT_EQ(PresentPages(buffer, 4 * kPageBytes), 0u);
  pager.Unmap(buffer, 4 * kPageBytes);
  pager.Unmap(other, 2 * kLimit);
}

TEST_P(AccessesTest, ThreadsHoldUnderPressure) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kThreads = 3;
  std::atomic<uint64_t> running{kThreads};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::byte* buffer = pager.Map(kLimit);
      int ends[2];
      wrong += pipe(ends) != 0;
      for (uint64_t turn = 0; turn < 300; ++turn) {
        // A page to the pipe and into another place.
        std::byte* from = buffer + turn * 7 % 100 * kPageBytes;
        std::byte* to = buffer + (120 + turn * 11 % 100) * kPageBytes;
        std::memset(from, static_cast<int>(t + turn), kPageBytes);
        Hold hold;
        wrong += HoldNow(pager, from, kPageBytes, hold) != HoldOutcome::kHeld;
        wrong += write(ends[1], from, kPageBytes) != static_cast<ssize_t>(kPageBytes);
        ReleaseNow(pager, hold);
        wrong += HoldNow(pager, to, kPageBytes, hold) != HoldOutcome::kHeld;
        wrong += read(ends[0], to, kPageBytes) != static_cast<ssize_t>(kPageBytes);
        ReleaseNow(pager, hold);
        for (uint64_t i = 0; i < kPageBytes; ++i) {
          wrong += to[i] != static_cast<std::byte>(t + turn);
        }
      }
      close(ends[0]);
      close(ends[1]);
      pager.Unmap(buffer, kLimit);
      --running;
    });
  }
  std::byte* other = pager.Map(2 * kLimit);
  while (running != 0) Press(other);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(pager.record().pinned_bytes, 0u);
  EXPECT_LE(pager.record().resident_peak_bytes, kLimit);
  pager.Unmap(other, 2 * kLimit);
}

INSTANTIATE_TEST_SUITE_P(Moves, AccessesTest, ::testing::Values(Moves::kCopy, Moves::kMove),
                         [](const auto& info) {
                           return info.param == Moves::kCopy ? "Copy" : "Move";
                         });

}  // namespace
}  // namespace coracle::epc

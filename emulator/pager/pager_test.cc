#include "emulator/pager/pager.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/test_environment.h"
#include "emulator/pager/test_pager.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kLimit = uint64_t{1} << 20;  // 256 pages
constexpr uint64_t kLimitPagesMin = 64;

uint64_t PatternAt(uint64_t word, uint64_t round) {
  return (word + 1) * 0x9e3779b97f4a7c15u ^ (round * 0xd1b54a32d192ed03u);
}

class PagerTest : public ::testing::TestWithParam<Moves> {
 protected:
  void SetUp() override { SKIP_WITHOUT_PAGER(); }
};

TEST_P(PagerTest, FirstTouchReadsZeros) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kBytes = 4 * kLimit;
  std::byte* region = pager.Map(kBytes);
  for (uint64_t i = 0; i < kBytes; i += 512) ASSERT_EQ(region[i], std::byte{0});
  EXPECT_LE(PresentPages(region, kBytes), kLimit / kPageBytes);
  EXPECT_EQ(pager.record().zero_fills, kBytes / kPageBytes);
  EXPECT_GT(pager.record().evictions, 0u);
  pager.Unmap(region, kBytes);
  EXPECT_LE(pager->resident_bytes(), 17 * kPageBytes);
}

TEST_P(PagerTest, KeepsWhatWasWritten) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kWords = 8 * kLimit / 8;
  auto* words = reinterpret_cast<uint64_t*>(pager.Map(kWords * 8));
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t i = 0; i < kWords; i += 64) words[i] = PatternAt(i, round);
    for (uint64_t i = 0; i < kWords; i += 64) ASSERT_EQ(words[i], PatternAt(i, round)) << i;
  }
  EXPECT_GT(pager.record().loads, kWords * 8 / kPageBytes);
  EXPECT_LE(pager.record().resident_peak_bytes, kLimit);
  pager.Unmap(words, kWords * 8);
}

/// Counts present pages while nobody may bring or take any.
uint64_t FrozenPresentPages(TestPager& pager, const void* begin, uint64_t bytes) {
  const SignalsBlocked blocked;
  pager->BeforeFork();  // takes the lock
  const uint64_t present = PresentPages(begin, bytes);
  pager->AfterForkInParent();
  return present;
}

void WriteAndCheck(uint64_t* words, uint64_t count, uint64_t seed, uint64_t rounds,
                   std::atomic<uint64_t>& wrong) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> expected(count, 0);
  for (uint64_t i = 0; i < rounds; ++i) {
    const uint64_t at = random() % count;
    if (words[at] != expected[at]) ++wrong;
    if (i % 2 == 0) words[at] = expected[at] = random();
  }
  for (uint64_t at = 0; at < count; ++at) wrong += words[at] != expected[at];
}

TEST_P(PagerTest, FourThreadsStayWithinTheLimit) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kWords = 4 * kLimit / 8;
  auto* words = reinterpret_cast<uint64_t*>(pager.Map(kThreads * kWords * 8));
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> running{kThreads};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      WriteAndCheck(words + t * kWords, kWords, 100 + t, 20000, wrong);
      --running;
    });
  }
  uint64_t samples = 0;
  for (; running != 0; ++samples) {
    ASSERT_LE(FrozenPresentPages(pager, words, kThreads * kWords * 8), kLimit / kPageBytes);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(samples, 10u);
  EXPECT_EQ(wrong, 0u);
  EXPECT_LE(pager.record().resident_peak_bytes, kLimit);
  pager.Unmap(words, kThreads * kWords * 8);
}

/// A sweep after the other over [words, words + count): checks the last one's pattern, writes its
/// own.
void Sweep(uint64_t* words, uint64_t count, std::chrono::steady_clock::time_point end,
           std::atomic<uint64_t>& wrong) {
  for (uint64_t round = 0; std::chrono::steady_clock::now() < end; ++round) {
    for (uint64_t i = 0; i < count; i += 64) {
      wrong += words[i] != (round == 0 ? 0 : PatternAt(i, round - 1));
      words[i] = PatternAt(i, round);
    }
  }
}

TEST_P(PagerTest, AGibibyteUnder16MebibytesForMinutes) {
  if (!RunsSlowTests()) GTEST_SKIP() << "CORACLE_SLOW=1 runs it (ten minutes)";
  constexpr uint64_t kSmall = uint64_t{16} << 20;
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kBytes = uint64_t{1} << 30;
  constexpr uint64_t kWords = kBytes / 8 / kThreads;
  TestPager pager(kSmall, GetParam());
  auto* words = reinterpret_cast<uint64_t*>(pager.Map(kBytes));
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> running{kThreads};
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);  // of either kind
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Sweep(words + t * kWords, kWords, end, wrong);
      --running;
    });
  }
  while (running != 0) {
    EXPECT_LE(FrozenPresentPages(pager, words, kBytes), kSmall / kPageBytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(pager.record().loads, kBytes / kPageBytes);
  EXPECT_LE(pager.record().resident_peak_bytes, kSmall);
  pager.Unmap(words, kBytes);
}

TEST_P(PagerTest, ThreadsThatShareWordsLoseNoWrite) {
  TestPager pager(kLimitPagesMin * kPageBytes, GetParam());
  // Few pages, little more than the limit: most are written to while another thread evicts them.
  constexpr uint64_t kPages = kLimitPagesMin + 8;
  std::byte* region = pager.Map(kPages * kPageBytes);
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kTurns = 30000;
  const auto word = [region](uint64_t page) {
    return reinterpret_cast<uint64_t*>(region + page * kPageBytes);
  };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&word, t] {
      std::mt19937_64 random(t);
      for (uint64_t turn = 0; turn < kTurns; ++turn) {
        __atomic_fetch_add(word(random() % kPages), 1, __ATOMIC_RELAXED);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t sum = 0;
  for (uint64_t page = 0; page < kPages; ++page) sum += *word(page);
  EXPECT_EQ(sum, kThreads * kTurns);
  pager.Unmap(region, kPages * kPageBytes);
}

TEST_P(PagerTest, AdoptsMemoryThatIsThere) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kBytes = 2 * kLimit;
  void* mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* region = static_cast<volatile uint64_t*>(mapped);
  // A third written, a third read (the kernel's own page of zeros), a third left alone.
  for (uint64_t i = 0; i < kBytes / 8; i += 512) {
    if (i / 512 % 3 == 0) region[i] = PatternAt(i, 7);
    if (i / 512 % 3 == 1) {
      ASSERT_EQ(region[i], 0u);
    }
  }
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  {
    const SignalsBlocked blocked;
    ASSERT_TRUE(pager->Adopt({begin, begin + kBytes}, PROT_READ | PROT_WRITE, Charge::kEvictable));
  }
  EXPECT_LE(PresentPages(mapped, kBytes), kLimit / kPageBytes);
  for (uint64_t round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kBytes / 8; i += 512) {
      ASSERT_EQ(region[i], i / 512 % 3 == 0 ? PatternAt(i, 7) : round * i) << i;
      if (i / 512 % 3 != 0) region[i] = i;
    }
  }
  pager.Unmap(mapped, kBytes);
}

TEST_P(PagerTest, PinnedPagesStay) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kPinned = kLimit / 4;
  void* mapped = mmap(nullptr, kPinned, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memset(mapped, 0x5a, kPinned);
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  {
    const SignalsBlocked blocked;
    ASSERT_TRUE(pager->Adopt({begin, begin + kPinned}, PROT_READ | PROT_WRITE, Charge::kPinned));
  }
  std::byte* region = pager.Map(2 * kLimit);
  for (uint64_t i = 0; i < 2 * kLimit; i += kPageBytes) region[i] = std::byte{1};
  EXPECT_EQ(PresentPages(mapped, kPinned), kPinned / kPageBytes);
  EXPECT_EQ(pager.record().pinned_bytes, kPinned);
  EXPECT_LE(PresentPages(region, 2 * kLimit), (kLimit - kPinned) / kPageBytes);
  pager.Unmap(region, 2 * kLimit);
  pager.Unmap(mapped, kPinned);
}

TEST_P(PagerTest, PagesThatComeBackSoonAreKeptLonger) {
  TestPager pager(kLimit, GetParam());
  // A stream of 4 limits, again and again, and a quarter of the limit that is used all the time.
  constexpr uint64_t kStreamPages = 4 * kLimit / kPageBytes;
  constexpr uint64_t kHotPages = kLimit / kPageBytes / 4;
  std::byte* stream = pager.Map(kStreamPages * kPageBytes);
  std::byte* hot = pager.Map(kHotPages * kPageBytes);
  uint64_t loads_before = 0;
  constexpr uint64_t kRounds = 6;
  for (uint64_t round = 0; round < kRounds; ++round) {
    if (round == 2) loads_before = pager.record().loads;
    for (uint64_t i = 0; i < kStreamPages; ++i) {
      stream[i * kPageBytes] ^= std::byte{1};
      hot[i % kHotPages * kPageBytes] ^= std::byte{1};
    }
  }
  const uint64_t loads = pager.record().loads - loads_before;
  RecordProperty("loads", std::to_string(loads));
  // Plain first-in, first-out loads the hot pages once a limit's worth of others: 4/3 of this.
  EXPECT_LE(static_cast<double>(loads), 1.05 * (kRounds - 2) * kStreamPages);
  pager.Unmap(stream, kStreamPages * kPageBytes);
  pager.Unmap(hot, kHotPages * kPageBytes);
}

TEST_P(PagerTest, YesterdaysHotPagesGiveWay) {
  TestPager pager(kLimit, GetParam());
  // Sets of half the limit, each used for a while together with a stream that is never used again.
  constexpr uint64_t kSetPages = kLimit / kPageBytes / 2;
  constexpr uint64_t kSets = 6;
  constexpr uint64_t kTurns = 40;
  std::byte* sets = pager.Map(kSets * kSetPages * kPageBytes);
  std::byte* stream = pager.Map(kSets * kTurns * kSetPages / 4 * kPageBytes);
  uint64_t next = 0;
  for (uint64_t set = 0; set < kSets; ++set) {
    for (uint64_t turn = 0; turn < kTurns; ++turn) {
      for (uint64_t i = 0; i < kSetPages; ++i) {
        sets[(set * kSetPages + i) * kPageBytes] ^= std::byte{1};
        if (i % 4 == 0) stream[next++ * kPageBytes] = std::byte{1};
      }
    }
  }
  RecordProperty("loads", std::to_string(pager.record().loads));
  // A few loads for each page of a set until it has proven itself, not one each turn.
  EXPECT_LE(pager.record().loads, kSets * kSetPages * 6);
  pager.Unmap(sets, kSets * kSetPages * kPageBytes);
  pager.Unmap(stream, kSets * kTurns * kSetPages / 4 * kPageBytes);
}

TEST_P(PagerTest, ALimitThatShrinksIsKept) {
  TestPager pager(kLimit, GetParam());
  std::byte* region = pager.Map(kLimit);
  for (uint64_t i = 0; i < kLimit; i += kPageBytes) region[i] = std::byte{1};
  {
    const SignalsBlocked blocked;
    pager->SetLimit(kLimit / 2);
    EXPECT_LE(pager->ShrinkTo(kLimit / 2), kLimit / 2);
  }
  EXPECT_LE(PresentPages(region, kLimit), kLimit / 2 / kPageBytes);
  for (uint64_t i = 0; i < kLimit; i += kPageBytes) ASSERT_EQ(region[i], std::byte{1});
  EXPECT_LE(PresentPages(region, kLimit), kLimit / 2 / kPageBytes);
  pager.Unmap(region, kLimit);
}

TEST_P(PagerTest, WhatFitsIsFilledAheadOnlyBesideWhatWasTouched) {
  TestPager pager(kUnlimited, GetParam());
  constexpr uint64_t kBytes = uint64_t{16} << 20;
  std::byte* region = pager.Map(kBytes);
  // Far apart: one page each.
  for (uint64_t i = 0; i < kBytes; i += 64 * kPageBytes) region[i] = std::byte{1};
  EXPECT_EQ(pager.record().zero_fills, kBytes / kPageBytes / 64);
  EXPECT_EQ(PresentPages(region, kBytes), kBytes / kPageBytes / 64);
  // One after the other: fewer faults than pages, and every page is counted.
  for (uint64_t i = 0; i < kBytes / 2; i += kPageBytes) region[i] = std::byte{2};
  const uint64_t present = PresentPages(region, kBytes);
  EXPECT_EQ(pager.record().zero_fills, present);
  EXPECT_LT(pager.record().faults, present / 4);
  EXPECT_LE(present, kBytes / kPageBytes / 2 + kBytes / kPageBytes / 2 / 64 + 16);
  pager.Unmap(region, kBytes);
}

/// Runs `child` in a forked process and gives its exit code.
template <typename Child>
int InChild(TestPager& pager, Child child) {
  const SignalsBlocked blocked;
  pager->BeforeFork();
  const pid_t pid = fork();
  if (pid == 0) {
    pager->AfterForkInChild();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    _exit(child());
  }
  pager->AfterForkInParent();
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_P(PagerTest, BothSidesOfAForkHaveAllPages) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kWords = 4 * kLimit / 8;
  auto* words = reinterpret_cast<uint64_t*>(pager.Map(kWords * 8));
  auto* wiped = reinterpret_cast<uint64_t*>(pager.Map(kLimit));
  for (uint64_t i = 0; i < kLimit / 8; i += 512) wiped[i] = 5;
  for (uint64_t i = 0; i < kWords; i += 64) words[i] = PatternAt(i, 1);
  {
    const SignalsBlocked blocked;
    ASSERT_EQ(pager->Advise(reinterpret_cast<uintptr_t>(wiped), kLimit, MADV_WIPEONFORK), 0);
  }
  const uint64_t faults_before = pager.record().faults;
  const int code = InChild(pager, [&] {
    for (uint64_t i = 0; i < kWords; i += 64) {
      if (words[i] != PatternAt(i, 1)) return 1;
      words[i] = 0;  // must not reach the parent
    }
    for (uint64_t i = 0; i < kLimit / 8; i += 512) {
      if (wiped[i] != 0) return 2;
    }
    // It never seals, whatever is asked of it: a nonce of its parent's might repeat.
    {
      const SignalsBlocked blocked;
      if (pager->ShrinkTo(0) < kWords * 8) return 4;
    }
    // A grandchild as well.
    return InChild(pager, [&] { return words[0] == 0 && wiped[512] == 0 ? 0 : 3; });
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(pager.record().faults, faults_before) << "a child counts in its own record";
  // Present pages are shared with nobody any more, or still: both must be evicted all right.
  for (uint64_t round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kWords; i += 64) ASSERT_EQ(words[i], PatternAt(i, 1)) << i;
  }
  for (uint64_t i = 0; i < kLimit / 8; i += 512) ASSERT_EQ(wiped[i], 5u);
  EXPECT_LE(PresentPages(words, kWords * 8), kLimit / kPageBytes);
  pager.Unmap(words, kWords * 8);
  pager.Unmap(wiped, kLimit);
}

TEST_P(PagerTest, EvictsWhileAChildStillSharesThePages) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kWords = 4 * kLimit / 8;
  auto* words = reinterpret_cast<uint64_t*>(pager.Map(kWords * 8));
  for (uint64_t i = 0; i < kWords; i += 64) words[i] = PatternAt(i, 1);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  pid_t pid = 0;
  {
    const SignalsBlocked blocked;
    pager->BeforeFork();
    pid = fork();
    if (pid == 0) {
      close(pipe_ends[1]);
      char byte = 0;
      _exit(read(pipe_ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    pager->AfterForkInParent();
  }
  for (uint64_t i = 0; i < kWords; i += 64) ASSERT_EQ(words[i], PatternAt(i, 1)) << i;
  close(pipe_ends[1]);
  close(pipe_ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  pager.Unmap(words, kWords * 8);
}

TEST_P(PagerTest, ASwapTakesAtLeastWhatIsCharged) {
  TestPager pager(kLimit, GetParam());
  pager.record().charge_cycles = 200000;
  std::byte* region = pager.Map(2 * kLimit);
  for (uint64_t i = 0; i < 2 * kLimit; i += kPageBytes) region[i] = std::byte{1};
  const uint64_t loads_before = pager.record().loads;
  const uint64_t begin = __builtin_ia32_rdtsc();
  for (uint64_t i = 0; i < 2 * kLimit; i += kPageBytes) region[i] = std::byte{2};
  const uint64_t ticks = __builtin_ia32_rdtsc() - begin;
  const uint64_t loads = pager.record().loads - loads_before;
  EXPECT_EQ(loads, 2 * kLimit / kPageBytes);
  EXPECT_GE(ticks, loads * 200000);
  EXPECT_GT(pager.record().charged_ticks, loads * 100000);
  pager.Unmap(region, 2 * kLimit);
}

TEST(PagerCreateTest, RefusesALimitThatIsTooSmall) {
  SKIP_WITHOUT_PAGER();
  RunRecord record;
  record.limit_bytes = 32 * kPageBytes;
  char complaint[256] = {};
  EXPECT_EQ(Pager::Create({.record = &record}, complaint), nullptr);
  EXPECT_STREQ(complaint, "epcrun: --size is less than the least that works, 256 KiB");
}

INSTANTIATE_TEST_SUITE_P(Moves, PagerTest, ::testing::Values(Moves::kCopy, Moves::kMove),
                         [](const auto& info) {
                           return info.param == Moves::kCopy ? "Copy" : "Move";
                         });

}  // namespace
}  // namespace coracle::epc

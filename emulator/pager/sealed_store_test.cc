// What the host does to evicted pages is seen.
#include "emulator/pager/sealed_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "emulator/pager/test_pager.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kLimit = 64 * kPageBytes;
constexpr uint64_t kPages = 256;

using Ciphertext = std::array<std::byte, kPageBytes>;

/// A program with many evicted pages, and the host, which has kept earlier versions of them.
class AttackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_PAGER();
    pager_.emplace(kLimit);
  }

  std::byte* PageAt(uint64_t page) { return region_ + page * kPageBytes; }
  int64_t SlotOf(uint64_t page) {
    return (*pager_)->StoreSlotOf(reinterpret_cast<uintptr_t>(PageAt(page)));
  }
  std::byte* StoredAt(uint64_t page) {
    return (*pager_)->store().data() + static_cast<uint64_t>(SlotOf(page)) * kPageBytes;
  }

  void EvictEverything() {
    const SignalsBlocked blocked;
    (*pager_)->ShrinkTo(0);
  }

  void Prepare() {
    region_ = pager_->Map(kPages * kPageBytes);
    for (uint64_t version = 0; version < kVersions; ++version) {
      for (uint64_t page = 0; page < kPages; ++page) {
        std::memset(PageAt(page), static_cast<int>(page + version), kPageBytes);
      }
      EvictEverything();
      if (version + 1 == kVersions) return;
      for (uint64_t page = 0; page < kPages; ++page) {
        std::memcpy(earlier_[version][page].data(), StoredAt(page), kPageBytes);
      }
    }
  }

  void Attack(std::mt19937_64& random, uint64_t page) {
    switch (random() % 3) {
      case 0: {
        const uint64_t bit = random() % (kPageBytes * 8);
        StoredAt(page)[bit / 8] ^= std::byte{1} << (bit % 8);
        return;
      }
      case 1: {
        const uint64_t other = (page + 1 + random() % (kPages - 1)) % kPages;
        std::swap_ranges(StoredAt(page), StoredAt(page) + kPageBytes, StoredAt(other));
        return;
      }
      default:
        std::memcpy(StoredAt(page), earlier_[random() % (kVersions - 1)][page].data(), kPageBytes);
    }
  }

  /// Exit code of a child in which `act` is done before `page` is read; its stderr.
  template <typename Act>
  int ReadInChild(uint64_t page, Act act, std::string& said) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const SignalsBlocked blocked;
    (*pager_)->BeforeFork();
    const pid_t pid = fork();
    if (pid == 0) {
      (*pager_)->AfterForkInChild();
      dup2(ends[1], 2);
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, nullptr);
      act();
      const std::byte seen = *static_cast<volatile std::byte*>(PageAt(page));
      _exit(seen == static_cast<std::byte>(page + kVersions - 1) ? 0 : 1);
    }
    (*pager_)->AfterForkInParent();
    close(ends[1]);
    char text[512];
    const ssize_t got = read(ends[0], text, sizeof(text));
    said.assign(text, got > 0 ? static_cast<size_t>(got) : 0);
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  static constexpr uint64_t kVersions = 4;
  std::optional<TestPager> pager_;
  std::byte* region_ = nullptr;
  std::vector<Ciphertext> earlier_[kVersions - 1] = {std::vector<Ciphertext>(kPages),
                                                     std::vector<Ciphertext>(kPages),
                                                     std::vector<Ciphertext>(kPages)};
};

TEST_F(AttackTest, AThousandAttacksAreAllCaught) {
  Prepare();
  constexpr uint64_t kSeed = 20260726;
  std::mt19937_64 random(kSeed);
  for (uint32_t i = 0; i < 1000; ++i) {
    SCOPED_TRACE(i);
    const uint64_t page = random() % kPages;
    ASSERT_GE(SlotOf(page), 0);
    std::string said;
    if (i % 50 == 0) {
      ASSERT_EQ(ReadInChild(
                    page, [] {}, said),
                0)
          << "what is not attacked opens";
    }
    ASSERT_EQ(ReadInChild(
                  page, [&] { Attack(random, page); }, said),
              kTamperedExitCode);
    random.discard(3);
    ASSERT_EQ(said.find("epcrun: an evicted page did not open: host memory was changed, exchanged "
                        "or replayed (page 0x"),
              0u);
    ASSERT_EQ(std::count(said.begin(), said.end(), '\n'), 1);
  }
  pager_->Unmap(region_, kPages * kPageBytes);
}

TEST_F(AttackTest, PresentPagesHaveNoSlot) {
  region_ = pager_->Map(kPageBytes);
  EXPECT_EQ(SlotOf(0), -1);
  region_[0] = std::byte{1};
  EXPECT_EQ(SlotOf(0), -1);
  EvictEverything();
  EXPECT_EQ(SlotOf(0), 0);
  pager_->Unmap(region_, kPageBytes);
  EXPECT_EQ(SlotOf(0), -1);
}

TEST_F(AttackTest, TheLastBitAndTheFirstCount) {
  Prepare();
  for (const uint64_t byte : {uint64_t{0}, kPageBytes - 1}) {
    std::string said;
    const auto flip = [&] { StoredAt(7)[byte] ^= std::byte{0x80}; };
    EXPECT_EQ(ReadInChild(7, flip, said), kTamperedExitCode);
  }
  pager_->Unmap(region_, kPages * kPageBytes);
}

TEST_F(AttackTest, TheStoreHoldsNoPlaintext) {
  Prepare();
  // Each page was 4,096 equal bytes.
  for (uint64_t page = 0; page < kPages; ++page) {
    const std::byte* stored = StoredAt(page);
    const auto expected = static_cast<std::byte>(page + kVersions - 1);
    EXPECT_LT(std::count(stored, stored + kPageBytes, expected), 64);
  }
  pager_->Unmap(region_, kPages * kPageBytes);
}

/// A process with a pager and a limit of its own, as the program has it, which attacks itself.
int AttackItself(Moves moves, uint32_t kind) {
  const pid_t pid = fork();
  if (pid == 0) {
    TestPager pager(kLimit, moves);
    std::byte* region = pager.Map(kPages * kPageBytes);
    // Scattered, so that pages go alone, or in order, so that they go in runs.
    for (uint64_t i = 0; i < 3 * kPages; ++i) {
      region[(kind % 2 == 0 ? i * 37 : i) % kPages * kPageBytes] ^= std::byte{1};
    }
    std::vector<std::pair<uint64_t, int64_t>> sealed;
    for (uint64_t page = 0; page < kPages; ++page) {
      const int64_t slot =
          pager->StoreSlotOf(reinterpret_cast<uintptr_t>(region + page * kPageBytes));
      if (slot >= 0) sealed.emplace_back(page, slot);
    }
    const auto [page, slot] = sealed[kind * 13 % sealed.size()];
    std::byte* stored = pager->store().data() + static_cast<uint64_t>(slot) * kPageBytes;
    if (kind % 3 == 0) {
      stored[kind * 101 % kPageBytes] ^= std::byte{4};
    } else {
      const int64_t other = sealed[(kind * 13 + 1) % sealed.size()].second;
      std::byte* from = pager->store().data() + static_cast<uint64_t>(other) * kPageBytes;
      std::memcpy(stored, from, kPageBytes);
    }
    // Everything else still opens.
    for (const auto& [untouched, unused] : sealed) {
      if (untouched == page) continue;
      if (region[untouched * kPageBytes] != std::byte{1}) _exit(1);
    }
    close(2);
    const std::byte seen = *static_cast<volatile std::byte*>(region + page * kPageBytes);
    _exit(seen == std::byte{1} ? 2 : 3);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(AttackedProcessTest, EndsByEitherWayOfMovingPages) {
  SKIP_WITHOUT_PAGER();
  for (uint32_t kind = 0; kind < 24; ++kind) {
    SCOPED_TRACE(kind);
    EXPECT_EQ(AttackItself(Moves::kCopy, kind), kTamperedExitCode);
    EXPECT_EQ(AttackItself(Moves::kMove, kind), kTamperedExitCode);
  }
}

}  // namespace
}  // namespace coracle::epc

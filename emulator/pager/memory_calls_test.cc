// The program's memory calls on paged memory beside the same calls on ordinary memory.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "emulator/pager/test_pager.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kLimit = uint64_t{1} << 19;  // 128 pages
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

/// One piece of memory twice: paged, and the kernel's own.
struct Twin {
  uintptr_t paged = 0;
  uintptr_t plain = 0;
  std::vector<int> protections;  ///< of each page
  bool whole = true;             ///< never changed in parts: one mapping of the kernel's

  uint64_t bytes() const { return protections.size() * kPageBytes; }
};

class Twins {
 public:
  Twins(TestPager& pager, uint64_t seed) : pager_(pager), random_(seed) {}
  ~Twins() {
    for (Twin& twin : twins_) Drop(twin);
  }

  void Step() {
    const uint64_t choice = random_() % 16;
    if (twins_.size() < 4 || (choice == 0 && twins_.size() < 12)) return Make();
    Twin& twin = twins_[random_() % twins_.size()];
    switch (choice) {
      case 1:
        return Cut(twin);
      case 2:
      case 3:
        return Resize(twin);
      case 4:
        return Exchange(twin);
      case 5:
        return Split(twin);
      case 6:
      case 7:
        return Protect(twin);
      case 8:
      case 9:
        return Advise(twin);
      case 10:
        return Replace(twin);
      default:
        return Write(twin);
    }
  }

  void CompareAll() {
    for (const Twin& twin : twins_) Compare(twin);
  }

 private:
  void Make() {
    Twin twin;
    twin.protections.assign(1 + random_() % 48, kReadWrite);
    twin.paged = PagedMap(0, twin.bytes(), 0);
    twin.plain = PlainMap(0, twin.bytes(), 0);
    twins_.push_back(std::move(twin));
  }

  void Drop(Twin& twin) {
    const SignalsBlocked blocked;
    EXPECT_EQ(pager_->Unmap(twin.paged, twin.bytes()), 0);
    EXPECT_EQ(munmap(reinterpret_cast<void*>(twin.plain), twin.bytes()), 0);
  }

  /// Unmaps some pages at one end.
  void Cut(Twin& twin) {
    if (twin.protections.size() < 2) return;
    const uint64_t pages = 1 + random_() % (twin.protections.size() - 1);
    const bool at_front = random_() % 2 == 0;
    const uint64_t offset = at_front ? 0 : twin.bytes() - pages * kPageBytes;
    {
      const SignalsBlocked blocked;
      ASSERT_EQ(pager_->Unmap(twin.paged + offset, pages * kPageBytes), 0);
    }
    ASSERT_EQ(munmap(reinterpret_cast<void*>(twin.plain + offset), pages * kPageBytes), 0);
    const auto count = static_cast<std::ptrdiff_t>(pages);
    if (at_front) {
      twin.protections.erase(twin.protections.begin(), twin.protections.begin() + count);
      twin.paged += pages * kPageBytes;
      twin.plain += pages * kPageBytes;
    } else {
      twin.protections.erase(twin.protections.end() - count, twin.protections.end());
    }
  }

  void Resize(Twin& twin) {
    if (!twin.whole) return;
    const uint64_t pages = 1 + random_() % 48;
    const SignalsBlocked blocked;
    const long paged =
        pager_->Remap(twin.paged, twin.bytes(), pages * kPageBytes, MREMAP_MAYMOVE, 0);
    void* plain = mremap(reinterpret_cast<void*>(twin.plain), twin.bytes(), pages * kPageBytes,
                         MREMAP_MAYMOVE);
    ASSERT_GT(paged, 0);
    ASSERT_NE(plain, MAP_FAILED);
    twin.paged = static_cast<uintptr_t>(paged);
    twin.plain = reinterpret_cast<uintptr_t>(plain);
    twin.protections.resize(pages, twin.protections.back());
  }

  /// Moves one over another, which is gone then.
  void Exchange(Twin& twin) {
    const uint64_t other_index = random_() % twins_.size();
    Twin& other = twins_[other_index];
    if (&other == &twin || !twin.whole || other.bytes() < twin.bytes()) return;
    {
      const SignalsBlocked blocked;
      const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
      ASSERT_EQ(pager_->Remap(twin.paged, twin.bytes(), twin.bytes(), flags, other.paged),
                static_cast<long>(other.paged));
      ASSERT_EQ(mremap(reinterpret_cast<void*>(twin.plain), twin.bytes(), twin.bytes(), flags,
                       reinterpret_cast<void*>(other.plain)),
                reinterpret_cast<void*>(other.plain));
      const uint64_t left = other.bytes() - twin.bytes();
      if (left != 0) {
        ASSERT_EQ(pager_->Unmap(other.paged + twin.bytes(), left), 0);
        ASSERT_EQ(munmap(reinterpret_cast<void*>(other.plain + twin.bytes()), left), 0);
      }
    }
    twin.paged = other.paged;
    twin.plain = other.plain;
    twins_.erase(twins_.begin() + static_cast<std::ptrdiff_t>(other_index));
  }

  /// MREMAP_DONTUNMAP: the pages move to a new place, the old one stays, empty.
  void Split(Twin& twin) {
    if (!twin.whole || twins_.size() > 12) return;
    Twin moved = twin;
    {
      const SignalsBlocked blocked;
      const int flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
      const long paged = pager_->Remap(twin.paged, twin.bytes(), twin.bytes(), flags, 0);
      void* plain =
          mremap(reinterpret_cast<void*>(twin.plain), twin.bytes(), twin.bytes(), flags, nullptr);
      ASSERT_GT(paged, 0);
      ASSERT_NE(plain, MAP_FAILED);
      moved.paged = static_cast<uintptr_t>(paged);
      moved.plain = reinterpret_cast<uintptr_t>(plain);
    }
    twins_.push_back(std::move(moved));
  }

  void Protect(Twin& twin) {
    const auto [first, pages] = Part(twin);
    constexpr int kChoices[] = {PROT_NONE, PROT_READ, kReadWrite, kReadWrite};
    const int protection = kChoices[random_() % 4];
    const uint64_t offset = first * kPageBytes;
    const SignalsBlocked blocked;
    ASSERT_EQ(pager_->Protect(twin.paged + offset, pages * kPageBytes, protection, -1), 0);
    ASSERT_EQ(
        mprotect(reinterpret_cast<void*>(twin.plain + offset), pages * kPageBytes, protection), 0);
    for (uint64_t i = 0; i < pages; ++i) twin.protections[first + i] = protection;
    twin.whole = false;
  }

  void Advise(Twin& twin) {
    const auto [first, pages] = Part(twin);
    const uint64_t offset = first * kPageBytes;
    constexpr int kChoices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_HUGEPAGE, MADV_WILLNEED, 12345};
    const int advice = kChoices[random_() % 5];
    const SignalsBlocked blocked;
    const long paged = pager_->Advise(twin.paged + offset, pages * kPageBytes, advice);
    const long plain =
        madvise(reinterpret_cast<void*>(twin.plain + offset), pages * kPageBytes, advice);
    ASSERT_EQ(paged, plain == 0 ? 0 : -errno) << advice;
    if (advice == MADV_HUGEPAGE) {
      madvise(reinterpret_cast<void*>(twin.plain + offset), pages * kPageBytes, MADV_NOHUGEPAGE);
      twin.whole = false;
    }
  }

  /// New pages in the place of old ones.
  void Replace(Twin& twin) {
    const auto [first, pages] = Part(twin);
    PagedMap(twin.paged + first * kPageBytes, pages * kPageBytes, MAP_FIXED);
    PlainMap(twin.plain + first * kPageBytes, pages * kPageBytes, MAP_FIXED);
    for (uint64_t i = 0; i < pages; ++i) twin.protections[first + i] = kReadWrite;
    twin.whole = false;
  }

  void Write(Twin& twin) {
    const auto [first, pages] = Part(twin);
    for (uint64_t i = first; i < first + pages; ++i) {
      if (twin.protections[i] != kReadWrite) continue;
      const uint64_t offset = i * kPageBytes + random_() % (kPageBytes / 8) * 8;
      const uint64_t value = random_();
      *reinterpret_cast<uint64_t*>(twin.paged + offset) = value;
      *reinterpret_cast<uint64_t*>(twin.plain + offset) = value;
    }
    Compare(twin);
  }

  void Compare(const Twin& twin) {
    for (uint64_t i = 0; i < twin.protections.size(); ++i) {
      if (twin.protections[i] == PROT_NONE) continue;
      ASSERT_EQ(std::memcmp(reinterpret_cast<void*>(twin.paged + i * kPageBytes),
                            reinterpret_cast<void*>(twin.plain + i * kPageBytes), kPageBytes),
                0);
    }
  }

  std::pair<uint64_t, uint64_t> Part(const Twin& twin) {
    const uint64_t first = random_() % twin.protections.size();
    return {first, 1 + random_() % (twin.protections.size() - first)};
  }

  uintptr_t PagedMap(uintptr_t at, uint64_t bytes, int flags) {
    const SignalsBlocked blocked;
    const long result =
        pager_->Map(at, bytes, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    EXPECT_GT(result, 0);
    return static_cast<uintptr_t>(result);
  }
  uintptr_t PlainMap(uintptr_t at, uint64_t bytes, int flags) {
    void* result = mmap(reinterpret_cast<void*>(at), bytes, kReadWrite,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    EXPECT_NE(result, MAP_FAILED);
    return reinterpret_cast<uintptr_t>(result);
  }

  TestPager& pager_;
  std::mt19937_64 random_;
  std::vector<Twin> twins_;
};

class MemoryCallsTest : public ::testing::TestWithParam<Moves> {
 protected:
  void SetUp() override { SKIP_WITHOUT_PAGER(); }
};

TEST_P(MemoryCallsTest, RandomCallsDoWhatTheKernelDoes) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    TestPager pager(kLimit, GetParam());
    {
      Twins twins(pager, seed);
      for (uint32_t i = 0; i < 1500 && !HasFatalFailure(); ++i) twins.Step();
      twins.CompareAll();
      EXPECT_GT(pager.record().loads, 0u);
      EXPECT_LE(pager.record().resident_peak_bytes, kLimit);
    }
    EXPECT_LE(pager->resident_bytes(), 17 * kPageBytes) << "pages that nobody has";
    EXPECT_LE(pager.record().wanted_bytes, 0u);
  }
}

TEST_P(MemoryCallsTest, PagesWithoutAccessAreEvictedAndComeBack) {
  TestPager pager(kLimit, GetParam());
  std::byte* region = pager.Map(kLimit / 2);
  std::memset(region, 0x77, kLimit / 2);
  const auto begin = reinterpret_cast<uintptr_t>(region);
  {
    const SignalsBlocked blocked;
    ASSERT_EQ(pager->Protect(begin, kLimit / 2, PROT_NONE, -1), 0);
  }
  std::byte* other = pager.Map(2 * kLimit);
  std::memset(other, 1, 2 * kLimit);
  EXPECT_EQ(PresentPages(region, kLimit / 2), 0u);
  {
    const SignalsBlocked blocked;
    ASSERT_EQ(pager->Protect(begin, kLimit / 2, PROT_READ, -1), 0);
  }
  for (uint64_t i = 0; i < kLimit / 2; ++i) ASSERT_EQ(region[i], std::byte{0x77}) << i;
  pager.Unmap(region, kLimit / 2);
  pager.Unmap(other, 2 * kLimit);
}

/// Mappings of the kernel's that begin in [begin, begin + bytes).
uint64_t KernelMappings(uintptr_t begin, uint64_t bytes) {
  FILE* const maps = fopen("/proc/self/maps", "re");
  uint64_t count = 0;
  uintptr_t at = 0;
  while (fscanf(maps, "%lx-%*[^\n]", &at) == 1) count += at >= begin && at < begin + bytes;
  fclose(maps);
  return count;
}

/// What is one stretch of memory here may be several mappings in the kernel, which no call of
/// userfaultfd crosses: pages filled ahead, and runs of pages that go.
TEST_P(MemoryCallsTest, NeighboursThatTheKernelDoesNotJoin) {
  constexpr uint64_t kPart = 29 * kPageBytes;  // no multiple of what is filled at a time
  for (const uint64_t limit : {kLimit, kUnlimited}) {
    TestPager pager(limit, GetParam());
    std::byte* const region = pager.Map(3 * kPart);
    const auto begin = reinterpret_cast<uintptr_t>(region);
    pager.Unmap(region, 3 * kPart);
    const auto map_part = [&](uint64_t i) {
      const SignalsBlocked blocked;
      EXPECT_EQ(pager->Map(begin + i * kPart, kPart, kReadWrite,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                static_cast<long>(begin + i * kPart));
    };
    // Pages of the two outer parts before they are neighbours: their reverse maps (anon_vma)
    // differ, so that what comes between them joins one of them only.
    for (const uint64_t part : {0, 2}) {
      map_part(part);
      region[(part + 1) * kPart - 1] = std::byte{1};
    }
    map_part(1);
    ASSERT_GE(KernelMappings(begin, 3 * kPart), 2u);
    for (uint64_t i = 0; i < 3 * kPart; i += kPageBytes) {
      region[i] = static_cast<std::byte>(i / kPageBytes);
    }
    {
      const SignalsBlocked blocked;
      pager->ShrinkTo(8 * kPageBytes);
    }
    EXPECT_LE(PresentPages(region, 3 * kPart), 8u);
    for (uint64_t i = 0; i < 3 * kPart; i += kPageBytes) {
      ASSERT_EQ(region[i], static_cast<std::byte>(i / kPageBytes)) << i / kPageBytes;
    }
    pager.Unmap(region, 3 * kPart);
  }
}

TEST_P(MemoryCallsTest, NothingIsPopulatedOrHuge) {
  TestPager pager(kLimit, GetParam());
  const SignalsBlocked blocked;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const long at = pager->Map(0, 4 * kLimit, kReadWrite, flags | MAP_POPULATE | MAP_LOCKED, -1, 0);
  ASSERT_GT(at, 0);
  const auto begin = static_cast<uintptr_t>(at);
  EXPECT_EQ(PresentPages(reinterpret_cast<void*>(at), 4 * kLimit), 0u);
  EXPECT_EQ(pager->Advise(begin, 4 * kLimit, MADV_POPULATE_WRITE), 0);
  EXPECT_EQ(PresentPages(reinterpret_cast<void*>(at), 4 * kLimit), 0u);
  EXPECT_EQ(pager->Map(0, kLimit, kReadWrite, flags | MAP_HUGETLB, -1, 0), -ENOMEM);
  EXPECT_EQ(pager->Unmap(begin, 4 * kLimit), 0);
}

TEST_P(MemoryCallsTest, WritableDataOfFilesIsCharged) {
  TestPager pager(kLimit, GetParam());
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  constexpr uint64_t kWords = (2 * kLimit + 1000) / 8;
  std::vector<uint64_t> words(kWords);
  for (uint64_t i = 0; i < kWords; ++i) words[i] = i * 7;
  ASSERT_EQ(std::fwrite(words.data(), 8, kWords, file), kWords);
  std::fflush(file);
  constexpr uint64_t kBytes = 2 * kLimit;  // from the second page to past the end
  long at = 0;
  long code = 0;
  {
    const SignalsBlocked blocked;
    at = pager->Map(0, kBytes, kReadWrite, MAP_PRIVATE, fileno(file), kPageBytes);
    code = pager->Map(0, kBytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  }
  ASSERT_GT(at, 0);
  EXPECT_LE(PresentPages(reinterpret_cast<void*>(at), kBytes), kLimit / kPageBytes);
  EXPECT_EQ(pager.record().wanted_bytes, kBytes);
  EXPECT_EQ(pager.record().code_bytes, kBytes);
  auto* mapped = reinterpret_cast<uint64_t*>(at);
  for (uint64_t i = 0; i < kBytes / 8; ++i) {
    const uint64_t in_file = i + kPageBytes / 8;
    ASSERT_EQ(mapped[i], in_file < kWords ? words[in_file] : 0);
    mapped[i] = i;
  }
  for (uint64_t i = 0; i < kBytes / 8; ++i) ASSERT_EQ(mapped[i], i);
  ASSERT_EQ(pread(fileno(file), words.data(), 8, kPageBytes), 8);
  EXPECT_EQ(words[0], kPageBytes / 8 * 7) << "private: the file stays as it was";
  pager.Unmap(mapped, kBytes);
  pager.Unmap(reinterpret_cast<void*>(code), kBytes);
  EXPECT_EQ(pager.record().code_bytes, 0u);
  std::fclose(file);
}

TEST_P(MemoryCallsTest, TheBreakMovesBothWays) {
  TestPager pager(kLimit, GetParam());
  const SignalsBlocked blocked;
  const auto before = static_cast<uintptr_t>(pager->Break(0));
  EXPECT_EQ(before, reinterpret_cast<uintptr_t>(sbrk(0)));
  const uintptr_t grown = before + 2 * kLimit + 100;
  ASSERT_EQ(pager->Break(grown), static_cast<long>(grown));
  const uintptr_t first = (before + kPageBytes - 1) / kPageBytes * kPageBytes;
  for (uintptr_t at = first; at + 8 <= grown; at += kPageBytes) {
    // Not by a fault here: signals are blocked.
    Hold hold;
    ASSERT_EQ(pager->HoldBytes(at, 8, hold), HoldOutcome::kHeld);
    ASSERT_EQ(*reinterpret_cast<uint64_t*>(at), 0u);
    *reinterpret_cast<uint64_t*>(at) = at;
    pager->Release(hold);
  }
  EXPECT_LE(PresentPages(reinterpret_cast<void*>(first), 2 * kLimit), kLimit / kPageBytes);
  ASSERT_EQ(pager->Break(before + kLimit), static_cast<long>(before + kLimit));
  ASSERT_EQ(pager->Break(grown), static_cast<long>(grown));
  for (uintptr_t at = first; at + 8 <= grown; at += kPageBytes) {
    Hold hold;
    ASSERT_EQ(pager->HoldBytes(at, 8, hold), HoldOutcome::kHeld);
    const bool kept = at < before + kLimit;
    ASSERT_EQ(*reinterpret_cast<uint64_t*>(at), kept ? at : 0u);
    pager->Release(hold);
  }
  EXPECT_EQ(pager->Break(before), static_cast<long>(before));
  EXPECT_LE(pager->resident_bytes(), 17 * kPageBytes);
}

TEST_P(MemoryCallsTest, AStackGrowsDown) {
  TestPager pager(kLimit, GetParam());
  constexpr uint64_t kRoom = uint64_t{4} << 20;
  // A place with nothing below it, for the kernel keeps a gap under stacks.
  void* room = mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(room, MAP_FAILED);
  munmap(room, kRoom);
  const uintptr_t top = reinterpret_cast<uintptr_t>(room) + kRoom;
  {
    const SignalsBlocked blocked;
    ASSERT_EQ(pager->Map(top - kPageBytes, kPageBytes, kReadWrite,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0),
              static_cast<long>(top - kPageBytes));
  }
  for (uintptr_t at = top - 8; at > top - kLimit; at -= kPageBytes / 2) {
    ASSERT_EQ(*reinterpret_cast<uint64_t*>(at), 0u);
    *reinterpret_cast<uint64_t*>(at) = at;
  }
  // And for the kernel.
  {
    const SignalsBlocked blocked;
    Hold hold;
    ASSERT_EQ(pager->HoldBytes(top - 2 * kLimit, kPageBytes, hold), HoldOutcome::kHeld);
    EXPECT_EQ(PresentPages(reinterpret_cast<void*>(top - 2 * kLimit), kPageBytes), 1u);
    pager->Release(hold);
  }
  for (uintptr_t at = top - 8; at > top - kLimit; at -= kPageBytes / 2) {
    ASSERT_EQ(*reinterpret_cast<uint64_t*>(at), at);
  }
  pager.Unmap(reinterpret_cast<void*>(top - 2 * kLimit), 2 * kLimit);
}

INSTANTIATE_TEST_SUITE_P(Moves, MemoryCallsTest, ::testing::Values(Moves::kCopy, Moves::kMove),
                         [](const auto& info) {
                           return info.param == Moves::kCopy ? "Copy" : "Move";
                         });

}  // namespace
}  // namespace coracle::epc

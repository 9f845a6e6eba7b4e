#include "characterize/digests/trace_comparison.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <functional>

#include "characterize/digests/digest_findings.h"

namespace coracle::characterize {
namespace {

constexpr uint64_t kLoop = 0x400000;
constexpr uint64_t kLoad = 0x400004;
constexpr uint64_t kJump = 0x40000e;
constexpr uint64_t kThen = 0x400080;
constexpr uint64_t kElse = 0x400100;

/// A program that looks something up, and sometimes goes the other way.
struct FakeRun {
  std::function<uint64_t(int)> lookup = [](int) { return uint64_t{0x90000}; };
  std::function<bool(int)> goes_other_way = [](int) { return false; };
  int turns = 10;
  int reads = 1;
  unsigned accesses = 1;  ///< of each lookup
};

Json Trace(const FakeRun& run) {
  AccessDigests digests({}, {});
  digests.OnThreadStart(0);
  const auto* const loop = digests.TranslatedBlock(kLoop, 16, kJump);
  const uint32_t load = digests.TranslatedInstruction(kLoad);
  digests.TranslatedInstruction(kJump);
  const auto* const then = digests.TranslatedBlock(kThen, 4, kThen);
  digests.TranslatedInstruction(kThen);
  const auto* const other = digests.TranslatedBlock(kElse, 4, kElse);
  digests.TranslatedInstruction(kElse);
  for (int i = 0; i < run.turns; ++i) {
    digests.OnBlock(0, *loop);
    for (unsigned k = 0; k < run.accesses; ++k) {
      digests.OnAccess(0, load, run.lookup(i), 4, AccessKind::kRead);
    }
    digests.OnBlock(0, run.goes_other_way(i) ? *other : *then);
  }
  for (int i = 0; i < run.reads; ++i) digests.OnSystemCall(0, SYS_read, 0, 0);
  return DigestsJson(digests,
                     "00400000-00401000 r-xp 00002000 fe:00 12 /bin/a program\n"
                     "00500000-00501000 r-xp 00000000 fe:00 12 /bin/without code that ran\n");
}

TEST(TraceComparison, OfTheSameRunFindsNothing) {
  const TraceComparison comparison = CompareTraces(Trace({}), Trace({}));
  EXPECT_TRUE(comparison.same());
  EXPECT_TRUE(comparison.code.empty());
}

TEST(TraceComparison, NamesALookup) {
  FakeRun lines;
  lines.lookup = [](int i) { return uint64_t{0x90000} + (i == 7 ? 64 : 0); };
  TraceComparison comparison = CompareTraces(Trace({}), Trace(lines));
  EXPECT_TRUE(comparison.lines_differ());
  EXPECT_FALSE(comparison.pages_differ());
  EXPECT_FALSE(comparison.code_differs());
  ASSERT_EQ(comparison.code.size(), 1u);
  EXPECT_EQ(comparison.code[0].kind, CodeDifferenceKind::kLines);
  EXPECT_EQ(comparison.code[0].address, kLoad);
  EXPECT_EQ(comparison.code[0].first_count, 10u);

  FakeRun pages;
  pages.lookup = [](int i) { return uint64_t{0x90000} + (i == 7 ? 4096 : 0); };
  comparison = CompareTraces(Trace({}), Trace(pages));
  EXPECT_TRUE(comparison.pages_differ());
  ASSERT_EQ(comparison.code.size(), 1u);
  EXPECT_EQ(comparison.code[0].kind, CodeDifferenceKind::kPages);
}

TEST(TraceComparison, NamesAJump) {
  // As often, at other times.
  FakeRun early;
  early.goes_other_way = [](int i) { return i < 4; };
  FakeRun late;
  late.goes_other_way = [](int i) { return i >= 4 && i < 8; };
  TraceComparison comparison = CompareTraces(Trace(early), Trace(late));
  EXPECT_TRUE(comparison.code_differs());
  EXPECT_TRUE(comparison.lines_differ()) << "the other way is on another line";
  EXPECT_FALSE(comparison.pages_differ());
  ASSERT_EQ(comparison.code.size(), 1u);
  EXPECT_EQ(comparison.code[0].kind, CodeDifferenceKind::kJumps);
  EXPECT_EQ(comparison.code[0].address, kJump);

  // Once more: what the jump brought about comes behind it.
  comparison = CompareTraces(Trace({}), Trace(early));
  ASSERT_EQ(comparison.code.size(), 3u);
  EXPECT_EQ(comparison.code[0].kind, CodeDifferenceKind::kJumps);
  EXPECT_EQ(comparison.code[1].kind, CodeDifferenceKind::kRuns);
  EXPECT_EQ(comparison.code[1].address, kThen);
  EXPECT_EQ(comparison.code[2].address, kElse);
  EXPECT_EQ(comparison.code[2].first_count, 0u);
  EXPECT_EQ(comparison.code[2].second_count, 4u);
}

TEST(TraceComparison, DoesNotBlameWhatRanMoreOften) {
  FakeRun longer;
  longer.turns = 11;
  const TraceComparison comparison = CompareTraces(Trace({}), Trace(longer));
  EXPECT_TRUE(comparison.code_differs());
  for (const CodeDifference& one : comparison.code) {
    EXPECT_EQ(one.kind, CodeDifferenceKind::kRuns);
    EXPECT_NE(one.address, kLoad);
  }
}

TEST(TraceComparison, NamesAMaskedAccess) {
  FakeRun twice;
  twice.accesses = 2;
  const TraceComparison comparison = CompareTraces(Trace({}), Trace(twice));
  ASSERT_EQ(comparison.code.size(), 1u);
  EXPECT_EQ(comparison.code[0].kind, CodeDifferenceKind::kAccesses);
  EXPECT_EQ(comparison.code[0].address, kLoad);
}

TEST(TraceComparison, CountsSystemCalls) {
  FakeRun more;
  more.reads = 3;
  const TraceComparison comparison = CompareTraces(Trace({}), Trace(more));
  EXPECT_FALSE(comparison.same());
  EXPECT_FALSE(comparison.code_differs());
  ASSERT_EQ(comparison.calls.size(), 1u);
  EXPECT_EQ(comparison.calls[0].name, "read");
  EXPECT_EQ(comparison.calls[0].second_count, 3u);
}

TEST(DigestsJson, ListsTheFilesOfCodeThatRan) {
  const Json files = Trace({}).at("files");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0], Json({0x400000, 0x401000, 0x2000, "/bin/a program"}));
}

}  // namespace
}  // namespace coracle::characterize

#include "characterize/analysis/trace_notes.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <vector>

#include "characterize/program/program_memory.h"

namespace coracle::characterize {
namespace {

SystemCall Note(TraceNote note, uint64_t a, uint64_t b = 0) {
  return {SYS_prctl, {uint64_t{kTraceNoteCall}, static_cast<uint64_t>(note), a, b}};
}

uint64_t AddressOf(const void* at) { return reinterpret_cast<uintptr_t>(at); }

class TraceNotesTest : public testing::Test {
 protected:
  void SetUp() override {
    char probe = 1;
    char copy = 0;
    if (CopyFromProgram(AddressOf(&probe), &copy, 1) != 1) {
      GTEST_SKIP() << "process_vm_readv is not allowed here";
    }
  }
  void Take(const SystemCall& note) { notes_.Take(note, CallPathIndex{}, analysis_); }

  TraceAnalysis analysis_{TraceAnalysis::Settings{}};
  TraceNotes notes_;
};

TEST_F(TraceNotesTest, AreToldFromCallsOfTheKernel) {
  EXPECT_TRUE(TraceNotes::IsNote(Note(TraceNote::kFreed, 1)));
  EXPECT_FALSE(TraceNotes::IsNote({SYS_prctl, {15}}));
  EXPECT_FALSE(TraceNotes::IsNote({SYS_read, {uint64_t{kTraceNoteCall}}}));
  EXPECT_TRUE(TraceNotes::NeedsPath(Note(TraceNote::kAllocated, 1, 2)));
  EXPECT_FALSE(TraceNotes::NeedsPath(Note(TraceNote::kFreed, 1)));
  EXPECT_TRUE(TraceNotes::NamesFunction(Note(TraceNote::kNamed, 1)));
  EXPECT_FALSE(TraceNotes::NamesFunction(Note(TraceNote::kLayer, 1)));
}

TEST_F(TraceNotesTest, SmallAllocationsAreReadWhenAsked) {
  EXPECT_FALSE(notes_.allocations_followed());
  EXPECT_TRUE(notes_.SmallAllocationsJson().empty());
  TraceSmallAllocations small;
  Take(Note(TraceNote::kSmall, AddressOf(&small)));
  EXPECT_TRUE(notes_.allocations_followed());
  small.count[0] = 3;
  small.bytes[0] = 40;
  small.count[4] = 1;
  small.bytes[4] = 4000;
  const Json all = notes_.SmallAllocationsJson();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0], Json({{"bytes_max", 16}, {"count", 3}, {"bytes", 40}}));
  EXPECT_EQ(all[1], Json({{"bytes_max", 4095}, {"count", 1}, {"bytes", 4000}}));
  notes_.Restart();
  small.count[0] = 4;
  small.bytes[0] = 50;
  const Json later = notes_.SmallAllocationsJson();
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0], Json({{"bytes_max", 16}, {"count", 1}, {"bytes", 10}}));
}

TEST_F(TraceNotesTest, NonsenseIsLeftOut) {
  const TraceRegion regions[] = {
      {0x2000, 0x1000, TraceRegionKind::kWeights, "weights"},
      {0x2800, 0x1000, TraceRegionKind::kWeights, "overlaps"},
      {0x4000, 0, TraceRegionKind::kWeights, "empty"},
      {UINT64_MAX - 10, 100, TraceRegionKind::kWeights, "too long"},
      {0x6000, 0x1000, static_cast<TraceRegionKind>(9), "no kind"},
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      {0x8000, 0x1000, TraceRegionKind::kWorkspace, reinterpret_cast<const char*>(16)},
  };
  Take(Note(TraceNote::kRegions, AddressOf(regions), std::size(regions)));
  Take(Note(TraceNote::kRegions, AddressOf(regions), UINT64_MAX));
  Take(Note(TraceNote::kRegions, 16, 2));
  Take(Note(TraceNote::kLayer, 16));
  Take(Note(TraceNote::kSmall, 16));
  Take(Note(TraceNote::kAllocated, UINT64_MAX, UINT64_MAX));
  Take(Note(TraceNote::kFreed, 16));
  Take(Note(static_cast<TraceNote>(99), 16));
  EXPECT_TRUE(notes_.SmallAllocationsJson().empty());
}

}  // namespace
}  // namespace coracle::characterize

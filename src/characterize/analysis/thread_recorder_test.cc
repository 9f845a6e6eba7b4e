#include "characterize/analysis/thread_recorder.h"

#include <gtest/gtest.h>

#include <random>

namespace coracle::characterize {
namespace {

TEST(ThreadRecorder, MergesOnlyWhatHasDistanceZero) {
  ThreadRecorder recorder;
  EXPECT_FALSE(recorder.Record(0, FunctionIndex{}, 0x1000, 8, AccessKind::kRead));
  EXPECT_FALSE(recorder.Record(0, FunctionIndex{}, 0x1008, 8, AccessKind::kRead));
  EXPECT_FALSE(recorder.Record(1, FunctionIndex{}, 0x1010, 4, AccessKind::kWrite));
  EXPECT_FALSE(recorder.Record(1, FunctionIndex{}, 0x2000, 4, AccessKind::kWrite));
  EXPECT_FALSE(recorder.Record(1, FunctionIndex{}, 0x1000, 4, AccessKind::kWrite));
  const auto runs = recorder.Take();
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].line, 0x40u);
  EXPECT_EQ(runs[0].reads, 2u);
  EXPECT_EQ(runs[0].read_bytes, 16u);
  EXPECT_EQ(runs[0].writes, 1u);
  EXPECT_EQ(runs[1].line, 0x80u);
  EXPECT_EQ(runs[2].line, 0x40u);
  EXPECT_TRUE(recorder.Take().empty());
}

TEST(ThreadRecorder, AnAccessAcrossLinesTouchesBoth) {
  ThreadRecorder recorder;
  recorder.Record(0, FunctionIndex{}, 0x103c, 8, AccessKind::kRead);
  const auto runs = recorder.Take();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].read_bytes, 4u);
  EXPECT_EQ(runs[1].line, 0x41u);
  EXPECT_EQ(runs[1].read_bytes, 4u);
  EXPECT_EQ(recorder.split(), 1u);
}

TEST(ThreadRecorder, LosesNothing) {
  std::mt19937_64 random(6);
  ThreadRecorder recorder;
  uint64_t touches = 0;
  uint64_t bytes = 0;
  const auto take = [&] {
    for (const AccessRun& run : recorder.Take()) {
      touches += uint64_t{run.reads} + run.writes;
      bytes += uint64_t{run.read_bytes} + run.written_bytes;
    }
  };
  constexpr uint64_t kAccesses = 300'000;
  for (uint64_t i = 0; i < kAccesses; ++i) {
    // Often the same line again, so that runs come to their limit.
    const uint64_t address = random() % 50'000 == 0 ? random() % 65536 : 0x8000 + random() % 57;
    const auto kind = random() % 2 == 0 ? AccessKind::kRead : AccessKind::kWrite;
    if (recorder.Record(static_cast<uint32_t>(random() % 10), FunctionIndex{}, address, 8, kind))
      take();
  }
  take();
  EXPECT_EQ(touches, kAccesses + recorder.split());
  EXPECT_EQ(bytes, kAccesses * 8);
}

Pattern Last(std::initializer_list<uint64_t> addresses, uint32_t bytes) {
  Walk walk;
  Pattern pattern = Pattern::kIrregular;
  for (const uint64_t address : addresses) pattern = walk.Classify(address, bytes);
  return pattern;
}

TEST(Walk, IsClassifiedByItsSteps) {
  EXPECT_EQ(Last({0x1000, 0x1008}, 8), Pattern::kSequential);
  EXPECT_EQ(Last({0x1000, 0x1000}, 8), Pattern::kRepeated);
  EXPECT_EQ(Last({0x1000, 0x1010, 0x1020}, 8), Pattern::kSequential);
  EXPECT_EQ(Last({0x1000, 0x2000, 0x3000}, 8), Pattern::kStrided);
  EXPECT_EQ(Last({0x3000, 0x2000, 0x1000}, 8), Pattern::kStrided);
  EXPECT_EQ(Last({0x1000, 0x2000, 0x2800}, 8), Pattern::kIrregular);
  // A vector of 16 bytes in two pieces, at a stride.
  EXPECT_EQ(Last({0x1000, 0x1008, 0x2000, 0x2008, 0x3000}, 8), Pattern::kStrided);
}

}  // namespace
}  // namespace coracle::characterize

#include "characterize/reuse/shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "characterize/reuse/traces_for_test.h"

namespace coracle::characterize {
namespace {

constexpr size_t kTouches = 1'000'000;
constexpr uint64_t kElements = 200'000;
constexpr double kRate = 0.01;
constexpr double kErrorMost = 0.02;

DistanceHistogram Exact(const std::vector<uint64_t>& keys) {
  DenseIds ids;
  ReuseStack stack;
  DistanceHistogram histogram;
  for (const uint64_t key : keys) histogram.Add(stack.Touch(ids.FindOrAdd(key).id));
  return histogram;
}

void TouchAll(const std::vector<uint64_t>& keys, Shards& shards) {
  std::vector<bool> touched;
  for (const uint64_t key : keys) {
    if (key >= touched.size()) touched.resize(key + 1);
    shards.Touch(key, !touched[key]);
    touched[key] = true;
  }
}

double MeanError(const DistanceHistogram& a, const DistanceHistogram& b) {
  const uint64_t bound = std::max(a.DistanceBound(), b.DistanceBound());
  double sum = 0;
  double count = 0;
  for (uint64_t capacity = 1; capacity <= bound; capacity += bound / 1000 + 1) {
    sum += std::abs(a.MissRatio(capacity) - b.MissRatio(capacity));
    ++count;
  }
  return sum / count;
}

/// The traces with enough elements for a sample of 1 % to be one (a stack of 2,000 elements would
/// have 20 in it).
std::vector<NamedTrace> LargeTraces() {
  std::vector<NamedTrace> traces = SyntheticTraces(kTouches, kElements);
  std::erase_if(traces, [](const NamedTrace& trace) { return trace.name == "LRU stack"; });
  return traces;
}

TEST(Shards, IsWithinTwoPointsAtAFixedRate) {
  for (const NamedTrace& trace : LargeTraces()) {
    Shards shards(kRate);
    TouchAll(trace.keys, shards);
    const double error = MeanError(shards.Histogram(), Exact(trace.keys));
    EXPECT_LT(error, kErrorMost) << trace.name;
    EXPECT_NEAR(shards.Histogram().total(), static_cast<double>(kTouches), 1e-3 * kTouches);
    EXPECT_LT(shards.ExpectedError(), 0.2) << trace.name;
    RecordProperty(trace.name, std::to_string(error));
  }
}

TEST(Shards, IsWithinTwoPointsAtAFixedSize) {
  for (const NamedTrace& trace : LargeTraces()) {
    Shards shards(1.0, 2000);
    TouchAll(trace.keys, shards);
    EXPECT_LE(shards.sampled_elements(), 2000u);
    EXPECT_LT(shards.rate(), 0.05);
    EXPECT_LT(MeanError(shards.Histogram(), Exact(trace.keys)), kErrorMost) << trace.name;
  }
}

TEST(Shards, OfEverythingIsExact) {
  for (const NamedTrace& trace : SyntheticTraces(50'000, 3000)) {
    Shards shards(1.0);
    TouchAll(trace.keys, shards);
    EXPECT_LT(MeanError(shards.Histogram(), Exact(trace.keys)), 1e-12) << trace.name;
  }
}

TEST(Shards, SaysWhenItCannotKnow) {
  // 100 elements in a loop, of which a sample of 3 % has two or three: its halves disagree.
  Shards shards(0.03);
  for (size_t i = 0; i < 100'000; ++i) shards.Touch(i % 100, i < 100);
  EXPECT_GT(shards.ExpectedError(), 0.02);
}

TEST(Shards, RepeatedTouchesAndRemovals) {
  Shards shards(1.0);
  shards.Touch(1, true);
  shards.TouchAgain(1, 9);
  shards.Remove(1);
  shards.Touch(1, true);
  EXPECT_EQ(shards.Histogram().total(), 11);
  EXPECT_EQ(shards.Histogram().cold(), 2);
}

}  // namespace
}  // namespace coracle::characterize

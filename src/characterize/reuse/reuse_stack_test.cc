#include "characterize/reuse/reuse_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "characterize/reuse/dense_ids.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/traces_for_test.h"

namespace coracle::characterize {
namespace {

std::vector<uint64_t> Distances(const std::vector<uint64_t>& keys) {
  DenseIds ids;
  ReuseStack stack;
  std::vector<uint64_t> distances;
  for (const uint64_t key : keys) distances.push_back(stack.Touch(ids.FindOrAdd(key).id));
  return distances;
}

TEST(ReuseStack, CountsTheElementsBetween) {
  EXPECT_THAT(Distances({5, 5, 7, 5, 9, 7, 7, 5}),
              testing::ElementsAre(kCold, 0, kCold, 1, kCold, 2, 0, 2));
}

TEST(ReuseStack, EqualsTheSearchOfAList) {
  for (const uint64_t elements : {3u, 9u, 600u}) {
    for (const NamedTrace& trace : SyntheticTraces(20'000, elements)) {
      EXPECT_EQ(Distances(trace.keys), DistancesByList(trace.keys)) << trace.name << elements;
    }
  }
}

TEST(ReuseStack, EqualsAMergeSortOverAMillionTouches) {
  for (const uint64_t elements : {1000u, 100'000u}) {
    for (const NamedTrace& trace : SyntheticTraces(1'000'000, elements)) {
      EXPECT_EQ(Distances(trace.keys), DistancesByMergeSort(trace.keys)) << trace.name << elements;
    }
  }
}

TEST(ReuseStack, ForgetsWhatWasRemoved) {
  std::mt19937_64 random(3);
  ReuseStack stack;
  std::vector<uint32_t> list;
  for (int step = 0; step < 60'000; ++step) {
    const auto id = static_cast<uint32_t>(random() % 300);
    const auto found = std::find(list.begin(), list.end(), id);
    if (random() % 4 == 0) {
      stack.Remove(id);
      if (found != list.end()) list.erase(found);
    } else {
      const bool first = found == list.end();
      const uint64_t expected = first ? kCold : static_cast<uint64_t>(found - list.begin());
      if (!first) list.erase(found);
      list.insert(list.begin(), id);
      ASSERT_EQ(stack.Touch(id), expected) << step;
    }
    ASSERT_EQ(stack.count(), list.size());
  }
}

TEST(DenseIds, StayWithTheirKeys) {
  std::mt19937_64 random(4);
  DenseIds ids;
  std::vector<uint32_t> id_of(5000, DenseIds::kNone);
  const auto key_of = [](size_t i) { return i * 4096 + (i << 33); };
  for (int step = 0; step < 200'000; ++step) {
    const size_t i = random() % id_of.size();
    const size_t j = random() % id_of.size();
    if (step % 3 == 0) {
      ASSERT_EQ(ids.Remove(key_of(i)), id_of[i]);
      id_of[i] = DenseIds::kNone;
    } else if (step % 7 == 0 && id_of[i] != DenseIds::kNone && id_of[j] == DenseIds::kNone) {
      ids.Rename(key_of(i), key_of(j));
      id_of[j] = std::exchange(id_of[i], DenseIds::kNone);
    } else {
      const DenseIds::Found found = ids.FindOrAdd(key_of(i));
      ASSERT_EQ(found.added, id_of[i] == DenseIds::kNone);
      if (found.added) {
        ASSERT_EQ(std::find(id_of.begin(), id_of.end(), found.id), id_of.end());
      } else {
        ASSERT_EQ(found.id, id_of[i]);
      }
      id_of[i] = found.id;
    }
    ASSERT_EQ(ids.Find(key_of(j)), id_of[j]);
  }
  EXPECT_LE(ids.bound(), id_of.size());
}

TEST(DistanceHistogram, IsExactAtPowersOfTwo) {
  const std::vector<NamedTrace> traces = SyntheticTraces(200'000, 50'000);
  for (const NamedTrace& trace : traces) {
    const std::vector<uint64_t> distances = Distances(trace.keys);
    DistanceHistogram histogram;
    for (const uint64_t distance : distances) histogram.Add(distance);
    for (uint64_t capacity = 1; capacity <= 1 << 17; capacity *= 2) {
      const auto missing = std::count_if(distances.begin(), distances.end(),
                                         [=](uint64_t distance) { return distance >= capacity; });
      EXPECT_EQ(histogram.Misses(capacity), static_cast<double>(missing)) << trace.name << capacity;
    }
    EXPECT_EQ(histogram.total(), 200'000);
    EXPECT_EQ(histogram.Misses(histogram.DistanceBound()), histogram.cold());
  }
}

TEST(DistanceHistogram, FindsTheCapacityThatLeavesSoManyMisses) {
  DistanceHistogram histogram;
  histogram.Add(kCold, 10);
  histogram.Add(3, 100);
  histogram.Add(40, 50);
  EXPECT_EQ(histogram.CapacityFor(9), kCold);
  EXPECT_EQ(histogram.CapacityFor(10), 41u);
  EXPECT_EQ(histogram.CapacityFor(59), 41u);
  EXPECT_EQ(histogram.CapacityFor(60), 4u);
  EXPECT_EQ(histogram.CapacityFor(160), 0u);
  EXPECT_EQ(histogram.MissRatio(41), 10.0 / 160);
}

}  // namespace
}  // namespace coracle::characterize

#include "plan/pack.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "plan/pack_search.h"
#include "plan/pack_sections.h"
#include "plan/plan.h"
#include "plan/test_pack_instance.h"

namespace coracle::plan {
namespace {

constexpr uint64_t kAmpleWork = 50'000'000;

std::vector<Buffer> RandomBuffers(std::mt19937& random, size_t count, StepNumber steps,
                                  uint64_t units_max) {
  std::vector<Buffer> buffers;
  for (size_t i = 0; i < count; ++i) {
    const auto first = static_cast<StepNumber>(random() % steps);
    const auto last = std::min(steps - 1, first + static_cast<StepNumber>(random() % 6));
    buffers.push_back({kPoolAlignment * (1 + random() % units_max), first, last});
  }
  return buffers;
}

/// Buffers that together fill `units` of the pool at nearly every step, which is hard to pack.
std::vector<Buffer> FullBuffers(std::mt19937& random, size_t count, uint64_t units) {
  std::vector<Buffer> buffers;
  std::vector<bool> live(count);
  uint64_t free_units = units;
  for (StepNumber step = 0; buffers.size() < count; ++step) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (!live[i]) continue;
      live[i] = random() % 2 == 0;
      if (live[i]) buffers[i].last = step;
      if (!live[i]) free_units += buffers[i].bytes / kPoolAlignment;
    }
    while (free_units > 0 && buffers.size() < count) {
      const uint64_t size = 1 + random() % std::min<uint64_t>(free_units, 4);
      live[buffers.size()] = true;
      buffers.push_back({kPoolAlignment * size, step, step});
      free_units -= size;
    }
  }
  return buffers;
}

/// Chains of buffers that each replace the one before at its last step, some a little ahead or
/// behind, among others; buffers and overlays are written.
void RandomOverlays(std::mt19937& random, size_t count, std::vector<Buffer>& buffers,
                    std::vector<Overlay>& overlays) {
  for (size_t i = 0; i < count; ++i) {
    const bool chained = i > 0 && random() % 3 > 0;
    const auto first = chained ? buffers.back().last : static_cast<StepNumber>(random() % 4);
    const auto last = first + 1 + static_cast<StepNumber>(random() % 2);
    if (chained) {
      const auto index = static_cast<uint32_t>(i);
      const auto units = [&] { return static_cast<int64_t>(kPoolAlignment * (1 + random() % 3)); };
      const int64_t below = units();
      overlays.push_back({index - 1, index, below, units()});
    }
    buffers.push_back({kPoolAlignment * (1 + random() % 6), first, last});
  }
}

/// The smallest pool of all: every buffer at every offset.
class Exhaustive {
 public:
  Exhaustive(std::span<const Buffer> buffers, std::span<const Overlay> overlays)
      : buffers_(buffers), overlays_(overlays) {}

  uint64_t Smallest(uint64_t known_bytes) {
    best_ = known_bytes;
    Place(0);
    return best_;
  }

 private:
  void Place(uint64_t peak) {
    if (packing_.offsets.size() == buffers_.size()) {
      best_ = peak;
      return;
    }
    const size_t count = packing_.offsets.size() + 1;
    for (uint64_t offset = 0;; offset += kPoolAlignment) {
      packing_.pool_bytes = std::max(peak, offset + buffers_[count - 1].bytes);
      const uint64_t next_peak = packing_.pool_bytes;
      if (next_peak >= best_) return;
      packing_.offsets.push_back(offset);
      if (CheckPacking(buffers_.first(count), overlays_, packing_).empty()) Place(next_peak);
      packing_.offsets.pop_back();
    }
  }

  const std::span<const Buffer> buffers_;
  const std::span<const Overlay> overlays_;
  Packing packing_;
  uint64_t best_ = 0;
};

TEST(Pack, RandomBuffersNeverOverlapAndStayNearTheBound) {
  std::mt19937 random(1);
  double worst = 1;
  for (int round = 0; round < 100; ++round) {
    const std::vector<Buffer> buffers = RandomBuffers(random, 60, 40, 100);
    const Packing packing = Pack(buffers, {}, PackLimits{});
    ASSERT_EQ(CheckPacking(buffers, {}, packing), "");
    ASSERT_GE(packing.pool_bytes, packing.bound_bytes);
    EXPECT_EQ(packing.nodes, 0U);
    worst = std::max(
        worst, static_cast<double>(packing.pool_bytes) / static_cast<double>(packing.bound_bytes));
  }
  EXPECT_LT(worst, 1.25);
}

TEST(Pack, TheSearchFindsAndProvesTheSmallestPool) {
  std::mt19937 random(2);
  int beyond_the_load = 0;
  for (int round = 0; round < 10'000; ++round) {
    const std::vector<Buffer> buffers = FullBuffers(random, 14, 10);
    const uint64_t load = Pack(buffers, {}, PackLimits{}).bound_bytes;
    const Packing packing = Pack(buffers, {}, PackLimits{0, kAmpleWork});
    ASSERT_EQ(CheckPacking(buffers, {}, packing), "");
    ASSERT_EQ(packing.bound_bytes, packing.pool_bytes);
    if (packing.pool_bytes == load) continue;  // needs no oracle
    ++beyond_the_load;
    ASSERT_EQ(Exhaustive(buffers, {}).Smallest(packing.pool_bytes + 1), packing.pool_bytes);
  }
  EXPECT_GT(beyond_the_load, 0);
}

TEST(Pack, TheSearchAloneDecidesEveryPool) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::vector<Buffer> buffers;
    std::vector<Overlay> overlays;
    RandomOverlays(random, 2 + random() % 5, buffers, overlays);
    if (round % 2 == 0) {
      overlays.clear();
      buffers = RandomBuffers(random, 3 + random() % 5, 7, 6);
    }
    const uint64_t smallest =
        Exhaustive(buffers, overlays).Smallest(Pack(buffers, overlays, {}).pool_bytes + 1);
    OffsetSearch search(buffers, overlays, SectionsOf(buffers, overlays));
    for (uint64_t pool = 0; pool <= smallest + kPoolAlignment; pool += kPoolAlignment) {
      const Verdict verdict = search.Fit(pool, kAmpleWork);
      ASSERT_EQ(verdict, pool < smallest ? Verdict::kNeverFits : Verdict::kFits);
      if (verdict == Verdict::kNeverFits) continue;
      Packing packing{search.Offsets(), 0, 0, 0};
      for (size_t i = 0; i < buffers.size(); ++i) {
        packing.pool_bytes = std::max(packing.pool_bytes, packing.offsets[i] + buffers[i].bytes);
      }
      ASSERT_EQ(CheckPacking(buffers, overlays, packing), "");
      ASSERT_LE(packing.pool_bytes, pool);
    }
  }
}

TEST(Pack, TheSearchKnowsOverlays) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Buffer> buffers;
    std::vector<Overlay> overlays;
    RandomOverlays(random, 2 + random() % 5, buffers, overlays);
    const Packing packing = Pack(buffers, overlays, PackLimits{0, kAmpleWork});
    ASSERT_EQ(CheckPacking(buffers, overlays, packing), "");
    ASSERT_EQ(packing.bound_bytes, packing.pool_bytes);
    ASSERT_EQ(Exhaustive(buffers, overlays).Smallest(packing.pool_bytes + 1), packing.pool_bytes);
  }
}

TEST(Pack, OverlaysOfAnyDistanceAreRespected) {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<Buffer> buffers;
    std::vector<Overlay> overlays;
    RandomOverlays(random, 6, buffers, overlays);
    for (Overlay& overlay : overlays) {
      overlay.below -= static_cast<int64_t>(kPoolAlignment * (random() % 4));
      overlay.above -= static_cast<int64_t>(kPoolAlignment * (random() % 2));
    }
    const Packing packing = Pack(buffers, overlays, PackLimits{0, kAmpleWork / 100});
    ASSERT_EQ(CheckPacking(buffers, overlays, packing), "");
    ASSERT_LE(packing.bound_bytes, Exhaustive(buffers, overlays).Smallest(packing.pool_bytes + 1));
  }
}

TEST(Pack, TheSearchImprovesLargerInstancesAndRepeatsItself) {
  std::mt19937 random(5);
  uint64_t quick_bytes = 0;
  uint64_t searched_bytes = 0;
  for (int round = 0; round < 20; ++round) {
    const std::vector<Buffer> buffers = RandomBuffers(random, 120, 60, 100);
    const Packing quick = Pack(buffers, {}, PackLimits{});
    const Packing searched = Pack(buffers, {}, PackLimits{0, 2'000'000});
    const Packing again = Pack(buffers, {}, PackLimits{0, 2'000'000});
    ASSERT_EQ(CheckPacking(buffers, {}, searched), "");
    ASSERT_LE(searched.pool_bytes, quick.pool_bytes);
    ASSERT_GE(searched.bound_bytes, quick.bound_bytes);
    EXPECT_EQ(searched.offsets, again.offsets);
    EXPECT_EQ(searched.nodes, again.nodes);
    quick_bytes += quick.pool_bytes;
    searched_bytes += searched.pool_bytes;
  }
  EXPECT_LT(searched_bytes, quick_bytes);
}

TEST(Pack, EnoughIsEnough) {
  std::mt19937 random(6);
  const std::vector<Buffer> buffers = RandomBuffers(random, 60, 40, 100);
  const uint64_t enough = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(Pack(buffers, {}, PackLimits{enough, kAmpleWork}).nodes, 0U);
}

TEST(Pack, OverlaysChainInOneSpace) {
  // Three buffers that each replace the one before, a row (64 bytes) ahead or behind.
  const std::vector<Buffer> buffers{{6400, 0, 1}, {6400, 1, 2}, {6400, 2, 3}};
  const std::vector<Overlay> overlays{{0, 1, 64, 64}, {1, 2, 64, 64}};
  EXPECT_EQ(OverlaySaving(overlays[0], 6400, 6400), 6400U - 64);
  const Packing packing = Pack(buffers, overlays, PackLimits{});
  EXPECT_EQ(packing.pool_bytes, 6464U);
  EXPECT_EQ(packing.bound_bytes, 6464U);
}

TEST(Pack, NothingNeedsNothing) { EXPECT_EQ(Pack({}, {}, PackLimits{}).pool_bytes, 0U); }

TEST(PackInstance, ReadsLinesAndRefusesOthers) {
  const auto buffers = ParsePackInstance("id,lower,upper,size\nb1,0,3,4\nb2,3,9,128\n");
  ASSERT_TRUE(buffers.ok());
  ASSERT_EQ(buffers->size(), 2U);
  EXPECT_EQ((*buffers)[0].last, 2U);
  EXPECT_EQ((*buffers)[0].bytes, 64U);
  EXPECT_EQ((*buffers)[1].bytes, 128U);
  for (const char* csv : {"lower,upper,size\n", "id,lower,upper,size\na,3,3,4\n",
                          "id,lower,upper,size\na,0,3\n", "id,lower,upper,size\na,0,3,4,5\n",
                          "id,lower,upper,size\na,0,3,x\n", "id,lower,upper,size\na,0,3,0\n"}) {
    EXPECT_FALSE(ParsePackInstance(csv).ok()) << csv;
  }
}

}  // namespace
}  // namespace coracle::plan

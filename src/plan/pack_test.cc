#include "plan/pack.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace coracle::plan {
namespace {

std::vector<uint64_t> LoadsOf(const std::vector<Buffer>& buffers, size_t steps) {
  std::vector<uint64_t> loads(steps);
  for (const Buffer& buffer : buffers) {
    for (StepNumber step = buffer.first; step <= buffer.last; ++step) loads[step] += buffer.bytes;
  }
  return loads;
}

TEST(Pack, RandomBuffersNeverOverlapAndStayNearTheBound) {
  std::mt19937 random(1);
  double worst = 1;
  for (int round = 0; round < 100; ++round) {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 60; ++i) {
      const auto first = static_cast<StepNumber>(random() % 40);
      const auto last = static_cast<StepNumber>(std::min<uint64_t>(39, first + random() % 6));
      buffers.push_back({64 * (1 + random() % 100), first, last});
    }
    const std::vector<uint64_t> loads = LoadsOf(buffers, 40);
    const uint64_t bound = *std::max_element(loads.begin(), loads.end());
    const Packing packing = Pack(buffers, {}, loads, bound);
    ASSERT_GE(packing.pool_bytes, bound);
    worst = std::max(worst, static_cast<double>(packing.pool_bytes) / static_cast<double>(bound));
    for (size_t i = 0; i < buffers.size(); ++i) {
      ASSERT_EQ(packing.offsets[i] % 64, 0U);
      ASSERT_LE(packing.offsets[i] + buffers[i].bytes, packing.pool_bytes);
      for (size_t j = 0; j < i; ++j) {
        const bool meet =
            buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
        const bool overlap = packing.offsets[i] < packing.offsets[j] + buffers[j].bytes &&
                             packing.offsets[j] < packing.offsets[i] + buffers[i].bytes;
        ASSERT_FALSE(meet && overlap);
      }
    }
  }
  EXPECT_LT(worst, 1.25);
}

TEST(Pack, OverlaysChainInOneSpace) {
  // Three buffers that each replace the one before, a row (64 bytes) ahead or behind.
  const std::vector<Buffer> buffers{{6400, 0, 1}, {6400, 1, 2}, {6400, 2, 3}};
  const std::vector<Overlay> overlays{{0, 1, 64, 64}, {1, 2, 64, 64}};
  const uint64_t saving = OverlaySaving(overlays[0], 6400, 6400);
  EXPECT_EQ(saving, 6400U - 64);
  const std::vector<uint64_t> loads{6400, 6464, 6464, 6400};
  const Packing packing = Pack(buffers, overlays, loads, 6464);
  EXPECT_EQ(packing.pool_bytes, 6464U);
}

TEST(Pack, NothingNeedsNothing) { EXPECT_EQ(Pack({}, {}, {}, 0).pool_bytes, 0U); }

}  // namespace
}  // namespace coracle::plan

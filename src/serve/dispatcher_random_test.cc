// A million steps of random work, each checked by books that the dispatcher has no part in.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "serve/test_world.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kStepsEach = 250'000;

struct Case {
  const char* name;
  WorldSettings settings;
};

WorldSettings Make(uint64_t budget_bytes, uint32_t cores, uint32_t models, double load) {
  WorldSettings settings;
  settings.scheduler.budget_bytes = budget_bytes;
  settings.scheduler.cores = cores;
  settings.scheduler.queue_max = 96;
  settings.scheduler.model_queue_max = 32;
  settings.scheduler.aging_ns = 50'000'000;
  settings.scheduler.convoys_max = std::max(1U, cores - 1);
  settings.models = models;
  settings.load = load;
  return settings;
}

class RandomDispatchTest : public ::testing::TestWithParam<Case> {};

TEST_P(RandomDispatchTest, BudgetHoldsNothingIsLostOrAnsweredTwiceNobodyStarves) {
  WorldSettings settings = GetParam().settings;
  const char* const seed = std::getenv("CORACLE_SEED");
  settings.seed = seed == nullptr ? 6 : std::strtoull(seed, nullptr, 10);
  fmt::print("seed {}: repeat with CORACLE_SEED={}\n", settings.seed, settings.seed);
  World world(settings);
  for (uint64_t i = 0; i < kStepsEach; ++i) {
    world.Step();
    ASSERT_FALSE(HasFailure()) << "at step " << i;
  }
  world.Drain();
  const SchedulerCounts& counts = world.counted();
  fmt::print(
      "{} requests in {} convoys, {} runners started, {} refused, {} expired; the longest "
      "wait for a turn was {:.2f} of the bound\n",
      counts.submitted, counts.convoys, counts.runners_started, counts.refused, counts.expired,
      world.longest_wait_of_bound());
  // A world in which nothing happens would prove nothing.
  EXPECT_GT(counts.answered, kStepsEach / 20);
  EXPECT_GT(counts.failed, 0U);
  EXPECT_GT(counts.cancelled, 0U);
  EXPECT_GT(counts.expired, 0U);
  EXPECT_GT(counts.unloaded, 0U);
  EXPECT_GT(counts.refused, 0U);
  EXPECT_GT(counts.runners_started, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Worlds, RandomDispatchTest,
    ::testing::Values(Case{"OneCore", Make(64 * kMiB, 1, 4, 1.1)},
                      Case{"TwoCores", Make(93 * kMiB, 2, 6, 1.3)},
                      Case{"FourCoresLittleMemory", Make(32 * kMiB, 4, 5, 2.5)},
                      Case{"EightCoresMuchMemory", Make(512 * kMiB, 8, 8, 0.5)}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coracle::serve

// Property: whatever the network and the budget, the plan is valid, and running it in poisoned
// memory between guard pages gives the bytes of the unlimited layer-by-layer run.
#include <gtest/gtest.h>

#include <random>

#include "base/index.h"
#include "base/test_environment.h"
#include "kernels/kernel.h"
#include "plan/planner.h"
#include "plan/test_networks.h"
#include "plan/validate.h"
#include "runtime/bench_for_test.h"

namespace coracle::runtime {
namespace {

uint32_t NetworkCount() { return RunsSlowTests() ? 10'000 : 250; }

/// What the plans were like.
struct Tally {
  uint32_t cascades = 0;
  uint32_t spills = 0;
  uint32_t together = 0;
  uint32_t tiled = 0;
};

void RunInEveryBudget(graph::Graph graph, uint32_t seed, uint32_t batch, Tally& tally) {
  SCOPED_TRACE(seed);
  Bench bench(std::move(graph));
  for (const graph::Node& node : bench.graph().nodes) {
    tally.tiled += kernels::RowGranule(node) > 1 ? 1 : 0;
  }
  const std::vector<float> truth = bench.Truth(batch);
  std::mt19937 random(seed);
  plan::MachineRates rates;
  if (random() % 2 == 0) rates.fma_gflops = 1;  // makes steps worth dividing
  const auto threads = static_cast<uint32_t>(1 + random() % 3);
  const auto convoy = graph::Convoy::Make(bench.graph(), batch);
  ASSERT_TRUE(convoy.ok()) << convoy.error().message;
  plan::Planner planner(*convoy, rates, threads);
  const uint64_t least = planner.Least(plan::Passes::kAny).pool_bytes;
  EXPECT_FALSE(planner.Make(least - 1, plan::Pinning::kAuto, plan::Passes::kAny).ok());
  const uint64_t budgets[] = {least, least + random() % least, least * (1 + random() % 8),
                              plan::kUnlimited};
  for (const uint64_t budget : budgets) {
    const auto pinning = random() % 2 == 0 ? plan::Pinning::kAuto : plan::Pinning::kNone;
    const auto plan = planner.Make(budget, pinning, plan::Passes::kAny);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    ASSERT_LE(plan->pool_bytes, budget);
    const Status valid = plan::Validate(bench.graph(), *plan);
    ASSERT_TRUE(valid.ok()) << valid.error().message;
    for (const plan::Step& step : plan->steps) {
      tally.cascades += step.form == plan::Form::kCascade ? 1 : 0;
      tally.spills += step.windows.empty() ? 0 : 1;
      tally.together += step.turns == plan::Turns::kTogether ? 1 : 0;
    }
    ASSERT_TRUE(SameBytes(bench.Predict(*plan), truth)) << "budget " << budget;
  }
}

TEST(PlannedNetworks, RunToTheSameBytesInEveryBudget) {
  Tally tally;
  for (uint32_t seed = 0; seed < NetworkCount(); ++seed) {
    RunInEveryBudget(plan::MakeRandomNetwork(seed), seed, 1, tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.cascades, NetworkCount() / 4);
  EXPECT_GT(tally.spills, NetworkCount() / 4);
  EXPECT_GT(tally.tiled, NetworkCount());
  EXPECT_EQ(tally.together, 0U);
}

TEST(PlannedNetworks, ConvoysRunToTheBytesOfTheirInputs) {
  Tally tally;
  const uint32_t count = NetworkCount() / 3;
  for (uint32_t seed = 0; seed < count; ++seed) {
    RunInEveryBudget(plan::MakeRandomNetwork(seed), seed, seed % 10 == 0 ? 8 : 2 + seed % 2, tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.cascades, count / 4);
  EXPECT_GT(tally.spills, count / 4);
  EXPECT_GT(tally.together, count);
}

// Some of one input, some convoys.
TEST(PlannedNetworks, OfQuantizedTensorsRunToTheSameBytesInEveryBudget) {
  Tally tally;
  for (uint32_t seed = 0; seed < NetworkCount(); ++seed) {
    RunInEveryBudget(plan::MakeRandomQuantized(seed), seed, 1 + seed % 3 / 2, tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.cascades, NetworkCount() / 4);
  EXPECT_GT(tally.spills, NetworkCount() / 4);
}

TEST(PlannedNetworks, OfSequencesRunToTheSameBytesInEveryBudget) {
  Tally tally;
  for (uint32_t seed = 0; seed < NetworkCount(); ++seed) {
    RunInEveryBudget(plan::MakeRandomSequences(seed), seed, 1, tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.cascades, NetworkCount() / 4);
  EXPECT_GT(tally.spills, NetworkCount() / 4);
}

}  // namespace
}  // namespace coracle::runtime

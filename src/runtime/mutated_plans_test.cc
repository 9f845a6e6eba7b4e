// Plans with one field changed: each is rejected, or runs in poisoned memory between guard pages to
// the same bytes.
#include <gtest/gtest.h>

#include "plan/planner.h"
#include "plan/test_mutator.h"
#include "plan/test_networks.h"
#include "plan/validate.h"
#include "runtime/bench_for_test.h"

namespace coracle::runtime {
namespace {

constexpr uint32_t kNetworks = 50;
constexpr uint32_t kMutants = 20;  // of each: 1,000 in all

TEST(MutatedPlans, AreRejectedOrRunToTheSameBytes) {
  uint32_t rejected = 0;
  uint32_t accepted = 0;
  for (uint32_t seed = 0; seed < kNetworks; ++seed) {
    Bench bench(plan::MakeRandomNetwork(seed));
    const uint32_t batch = seed % 2 == 0 ? 1 : 2 + seed % 3;
    const auto convoy = graph::Convoy::Make(bench.graph(), batch);
    ASSERT_TRUE(convoy.ok());
    plan::Planner planner(*convoy, {}, 1 + seed % 3);
    const uint64_t least = planner.Least(plan::Passes::kAny).pool_bytes;
    const auto plan =
        planner.Make(least * (1 + seed % 3), plan::Pinning::kAuto, plan::Passes::kAny);
    ASSERT_TRUE(plan.ok());
    plan::Mutator mutator(seed);
    for (uint32_t round = 0; round < kMutants; ++round) {
      plan::Plan mutant = *plan;
      mutator.Mutate(mutant);
      if (!plan::Validate(bench.graph(), mutant).ok()) {
        ++rejected;
        continue;
      }
      ++accepted;
      EXPECT_LE(mutant.pool_bytes, mutant.budget_bytes);
      ASSERT_TRUE(SameBytes(bench.Predict(mutant), bench.Truth(mutant.batch)))
          << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(rejected, 300U);
  EXPECT_GT(accepted, 100U);
}

}  // namespace
}  // namespace coracle::runtime

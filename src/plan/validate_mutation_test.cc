// Plans with one field changed: each is rejected, or does what it should.
#include <string>

#include "gtest/gtest.h"
#include "plan/test_cascades.h"
#include "plan/test_mutator.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"
#include "plan/validate.h"

namespace coracle::plan {
namespace {

struct Tally {
  uint32_t accepted = 0;
  uint32_t rejected = 0;
};

/// Empty, or what a mutant that was accepted did wrongly.
std::string TryMutants(const graph::Graph& graph, const Plan& plan, uint32_t count,
                       Mutator& mutator, Tally& tally) {
  for (uint32_t round = 0; round < count; ++round) {
    Plan mutant = plan;
    mutator.Mutate(mutant);
    if (!Validate(graph, mutant).ok()) {
      ++tally.rejected;
      continue;
    }
    ++tally.accepted;
    std::string wrong = Simulate(graph, mutant);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

TEST(ValidateMutants, OfPlannedPlansAreRejectedOrRight) {
  Tally tally;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const graph::Graph graph = MakeRandomNetwork(seed);
    const auto convoy = graph::Convoy::Make(graph, 1 + seed % 4);
    ASSERT_TRUE(convoy.ok());
    PlanRequest request{FindLeastBudget(*convoy).bytes * (1 + seed % 2), 1 + seed % 3, {}};
    request.batch = convoy->batch();
    const Result<Plan> plan = MakePlan(graph, request);
    ASSERT_TRUE(plan.ok());
    ASSERT_EQ(Simulate(graph, *plan), "") << "seed " << seed;
    Mutator mutator(seed);
    ASSERT_EQ(TryMutants(graph, *plan, 20, mutator, tally), "") << "seed " << seed;
  }
  EXPECT_GT(tally.rejected, 400U);
  EXPECT_GT(tally.accepted, 200U);
}

TEST(ValidateMutants, OfCascadesAreRejectedOrRight) {
  Tally tally;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const graph::Graph graph = MakeRandomNetwork(seed);
    Mutator mutator(seed);
    const Plan plan = MakeCascadePlan(graph, mutator.Options(graph));
    const Status status = Validate(graph, plan);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status.error().message;
    ASSERT_EQ(Simulate(graph, plan), "") << "seed " << seed;
    ASSERT_EQ(TryMutants(graph, plan, 20, mutator, tally), "") << "seed " << seed;
  }
  EXPECT_GT(tally.rejected, 400U);
  EXPECT_GT(tally.accepted, 200U);
}

TEST(ValidateMutants, OfQuantizedNetworksAreRejectedOrRight) {
  Tally tally;
  for (uint32_t seed = 0; seed < 80; ++seed) {
    const graph::Graph graph = MakeRandomQuantized(seed);
    const auto convoy = graph::Convoy::Make(graph, 1 + seed % 3);
    ASSERT_TRUE(convoy.ok()) << convoy.error().message;
    PlanRequest request{FindLeastBudget(*convoy).bytes * (1 + seed % 2), 1 + seed % 3, {}};
    request.batch = convoy->batch();
    const Result<Plan> planned = MakePlan(graph, request);
    ASSERT_TRUE(planned.ok()) << planned.error().message;
    const Status right = Validate(graph, *planned);
    ASSERT_TRUE(right.ok()) << "seed " << seed << ": " << right.error().message;
    ASSERT_EQ(Simulate(graph, *planned), "") << "seed " << seed;
    Mutator mutator(seed);
    ASSERT_EQ(TryMutants(graph, *planned, 20, mutator, tally), "") << "seed " << seed;
    const Plan cascade = MakeCascadePlan(graph, mutator.Options(graph));
    const Status status = Validate(graph, cascade);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status.error().message;
    ASSERT_EQ(Simulate(graph, cascade), "") << "seed " << seed;
    ASSERT_EQ(TryMutants(graph, cascade, 20, mutator, tally), "") << "seed " << seed;
  }
  EXPECT_GT(tally.rejected, 400U);
  EXPECT_GT(tally.accepted, 200U);
}

TEST(ValidateMutants, OfSequencesAreRejectedOrRight) {
  Tally tally;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const graph::Graph graph = MakeRandomSequences(seed);
    Mutator mutator(seed);
    const Result<Plan> planned =
        MakePlan(graph, {FindLeastBudget(graph).bytes * (1 + seed % 2), 1 + seed % 3, {}});
    ASSERT_TRUE(planned.ok());
    ASSERT_EQ(TryMutants(graph, *planned, 20, mutator, tally), "") << "seed " << seed;
    const Plan cascade = MakeCascadePlan(graph, mutator.Options(graph));
    const Status status = Validate(graph, cascade);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status.error().message;
    ASSERT_EQ(Simulate(graph, cascade), "") << "seed " << seed;
    ASSERT_EQ(TryMutants(graph, cascade, 20, mutator, tally), "") << "seed " << seed;
  }
  EXPECT_GT(tally.rejected, 400U);
  EXPECT_GT(tally.accepted, 200U);
}

}  // namespace
}  // namespace coracle::plan

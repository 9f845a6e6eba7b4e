#include "cmd/characterize/plan_codec.h"

#include <gtest/gtest.h>

#include "plan/test_networks.h"
#include "plan/validate.h"

namespace coracle::cmd {
namespace {

graph::Graph MakeNetwork() {
  plan::NetworkBuilder network;
  plan::NetworkBuilder::T rows = network.Input({1, 96, 96, 3});
  for (const uint32_t channels : {16U, 32U, 64U}) {
    rows = network.Pool(network.Conv(rows, channels, 3), 2, 2);
  }
  network.Output(network.Dense(network.GlobalPool(rows), 40));
  return network.Finish();
}

TEST(PlanCodecTest, GivesTheSamePlanBackAtEveryBudget) {
  const graph::Graph graph = MakeNetwork();
  const uint64_t least = plan::FindLeastBudget(graph).bytes;
  for (const uint64_t budget : {least, 2 * least, plan::kUnlimited}) {
    plan::PlanRequest request;
    request.budget_bytes = budget;
    const auto plan = plan::MakePlan(graph, request);
    ASSERT_TRUE(plan.ok());
    const Json json = EncodePlan(*plan);
    const plan::Plan again = DecodePlan(Json::parse(json.dump()));
    EXPECT_TRUE(plan::Validate(graph, again).ok());
    EXPECT_EQ(EncodePlan(again), json);
    EXPECT_EQ(again.predicted_ms, plan->predicted_ms);
    ASSERT_EQ(again.steps.size(), plan->steps.size());
    for (size_t i = 0; i < plan->steps.size(); ++i) {
      EXPECT_EQ(again.steps[i].actions, plan->steps[i].actions);
      EXPECT_EQ(again.steps[i].slots, plan->steps[i].slots);
      EXPECT_EQ(again.steps[i].workspaces, plan->steps[i].workspaces);
    }
  }
}

}  // namespace
}  // namespace coracle::cmd

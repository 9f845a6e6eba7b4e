#include "serve/plan_front.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <set>
#include <string>

#include "plan/test_networks.h"
#include "plan/validate.h"
#include "serve/secure_bytes.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;

FrontSettings Settings(uint64_t budget_bytes, uint32_t threads, uint32_t batch) {
  FrontSettings settings;
  settings.budget_bytes = budget_bytes;
  settings.threads_max = threads;
  settings.batch_max = batch;
  return settings;
}

void CheckFront(const graph::Graph& graph, const FrontSettings& settings,
                const std::vector<PlannedChoice>& front) {
  ASSERT_FALSE(front.empty());
  EXPECT_LE(front.size(), kFrontMax);
  uint64_t before = 0;
  for (const PlannedChoice& planned : front) {
    const PlanChoice& choice = planned.choice;
    EXPECT_GE(choice.bytes, before);
    before = choice.bytes;
    EXPECT_LE(choice.bytes, settings.budget_bytes);
    EXPECT_LE(choice.threads, settings.threads_max);
    EXPECT_LE(choice.batch, settings.batch_max);
    EXPECT_EQ(choice.batch, planned.plan.batch);
    EXPECT_EQ(choice.threads, planned.plan.threads);
    EXPECT_GT(choice.bytes, planned.plan.pool_bytes);
    EXPECT_GT(choice.predicted_ms, 0);
    const Status valid = plan::Validate(graph, planned.plan);
    EXPECT_TRUE(valid.ok()) << valid.error().message;
    for (const PlannedChoice& other : front) {
      if (&other != &planned) {
        EXPECT_FALSE(Dominates(other.choice, choice));
      }
    }
  }
}

TEST(PlanFrontTest, ResNetFromOneInputToSixteen) {
  const graph::Graph graph = plan::MakeResNet50();
  const FrontSettings settings = Settings(93 * kMib, 2, 16);
  const auto start = std::chrono::steady_clock::now();
  const auto front = PlanFront(graph, 0, settings);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(front.ok()) << front.error().message;
  CheckFront(graph, settings, *front);
  std::set<uint32_t> batches;
  std::set<uint32_t> threads;
  for (const PlannedChoice& planned : *front) {
    batches.insert(planned.choice.batch);
    threads.insert(planned.choice.threads);
  }
  std::cout << front->size() << " choices in " << took.count() << " s\n";
  EXPECT_EQ(batches, (std::set<uint32_t>{1, 2, 4, 8, 16}));
  EXPECT_EQ(threads, (std::set<uint32_t>{1, 2}));
  // Many inputs share the weights that are opened; memory saves opening them.
  const PlanChoice& least = front->front().choice;
  EXPECT_EQ(least.batch, 1U);
  EXPECT_LT(least.bytes, 2 * kMib);
}

TEST(PlanFrontTest, WithinEveryBudget) {
  const graph::Graph graph = plan::MakeChain(12, 24);
  constexpr uint64_t kModelBytes = 70'000;
  const auto least = PlanFront(graph, kModelBytes, Settings(plan::kUnlimited, 1, 1));
  ASSERT_TRUE(least.ok());
  const PlannedChoice& first = least->front();
  const uint64_t least_bytes = kModelBytes + first.choice.bytes + PlanBytes(first.plan);
  for (const uint64_t budget :
       {least_bytes, least_bytes + 10'000, 2 * least_bytes, 16 * least_bytes}) {
    const FrontSettings settings = Settings(budget, 3, 5);
    const auto front = PlanFront(graph, kModelBytes, settings);
    ASSERT_TRUE(front.ok()) << front.error().message;
    CheckFront(graph, settings, *front);
    uint64_t bytes = kModelBytes + front->back().choice.bytes;
    for (const PlannedChoice& planned : *front) bytes += PlanBytes(planned.plan);
    EXPECT_LE(bytes, budget);
  }
  const auto refused = PlanFront(graph, kModelBytes, Settings(least_bytes - 1, 3, 5));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kOutOfBudget);
  EXPECT_NE(refused.error().message.find("needs "), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("has "), std::string::npos) << refused.error().message;
}

TEST(PlanFrontTest, RandomNetworks) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph graph =
        seed % 2 == 0 ? plan::MakeRandomNetwork(seed) : plan::MakeRandomSequences(seed);
    const FrontSettings settings = Settings(64 * kMib, 2, 4);
    const auto front = PlanFront(graph, 0, settings);
    ASSERT_TRUE(front.ok()) << front.error().message;
    CheckFront(graph, settings, *front);
  }
}

TEST(PlanFrontTest, Domination) {
  const PlanChoice choice{2, 1, 1000, 10};
  EXPECT_TRUE(Dominates(choice, choice));
  EXPECT_TRUE(Dominates(choice, {2, 1, 1001, 10}));
  EXPECT_TRUE(Dominates(choice, {4, 2, 1000, 24}));
  EXPECT_FALSE(Dominates(choice, {1, 1, 2000, 10}));  // for a single input
  EXPECT_FALSE(Dominates(choice, {4, 1, 1000, 19}));  // faster per input
  EXPECT_FALSE(Dominates(choice, {2, 1, 999, 100}));
  EXPECT_FALSE(Dominates({2, 2, 1000, 5}, choice));
}

}  // namespace
}  // namespace coracle::serve

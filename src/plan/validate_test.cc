#include "plan/validate.h"

#include <functional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"

namespace coracle::plan {
namespace {

/// Budgets from the least to far more than enough.
std::vector<uint64_t> BudgetsOf(const graph::Graph& graph) {
  const uint64_t least = FindLeastBudget(graph).bytes;
  return {least, least + least / 16, least + least / 4, 2 * least, kUnlimited};
}

TEST(Validate, AcceptsEveryPlanOfRandomNetworks) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph graph = MakeRandomNetwork(seed);
    for (uint64_t budget_bytes : BudgetsOf(graph)) {
      for (uint32_t threads : {1U, 3U, 8U}) {
        // Slow rates make steps worth dividing.
        const Result<Plan> plan = MakePlan(graph, {budget_bytes, threads, {0.1, 0.1, 0.1}});
        ASSERT_TRUE(plan.ok()) << plan.error().message;
        const Status status = Validate(graph, *plan);
        ASSERT_TRUE(status.ok()) << status.error().message;
        ASSERT_EQ(Simulate(graph, *plan), "");
      }
    }
  }
}

/// One random change of one field.
class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  void Mutate(Plan& plan) {
    Step& step = plan.steps[Below(plan.steps.size())];
    switch (Below(14)) {
      case 0:
        return Shift(plan.placements[Below(plan.placements.size())].offset);
      case 1:
        return Shift(plan.placements[Below(plan.placements.size())].pixel_stride_bytes);
      case 2:
        return Shift(plan.placements[Below(plan.placements.size())].row_stride_bytes);
      case 3:
        if (!step.slots.empty()) Shift(step.slots[0].offset);
        return;
      case 4:
        if (!step.slots.empty()) step.slots.back().bytes -= 64;
        return;
      case 5:
        return Shift(step.held.offset);
      case 6:
        step.held.bytes -= step.held.bytes == 0 ? 0 : 64;
        return;
      case 7:
        step.band_rows = static_cast<uint32_t>(Below(12));
        step.form = step.band_rows == 0 ? Form::kLayer : Form::kBand;
        return;
      case 8:
        step.direction = step.direction == Direction::kUp ? Direction::kDown : Direction::kUp;
        return;
      case 9:
        step.elided = !step.elided;
        return;
      case 10:
        std::swap(step, plan.steps[Below(plan.steps.size())]);
        return;
      case 11:
        plan.placements[Below(plan.placements.size())] =
            plan.placements[Below(plan.placements.size())];
        return;
      case 12:
        if (!step.workspaces.empty()) Shift(step.workspaces[0].offset);
        return;
      default:
        step.form = step.form == Form::kBand ? Form::kLayer : Form::kBand;
        step.band_rows = step.form == Form::kBand ? 1 : 0;
    }
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }
  void Shift(uint64_t& value) {
    const uint64_t by = (Below(2) == 0 ? 4 : 64) * (1 + Below(40));
    value = Below(2) == 0 ? value + by : value - by;
  }

  std::mt19937 random_;
};

TEST(Validate, WhatItAcceptsComputesTheRightValues) {
  uint32_t accepted = 0;
  uint32_t rejected = 0;
  for (uint32_t seed = 0; seed < 80; ++seed) {
    const graph::Graph graph = MakeRandomNetwork(seed);
    const Result<Plan> plan =
        MakePlan(graph, {FindLeastBudget(graph).bytes * (1 + seed % 2), 1 + seed % 3, {}});
    ASSERT_TRUE(plan.ok());
    Mutator mutator(seed);
    for (int round = 0; round < 40; ++round) {
      Plan mutant = *plan;
      mutator.Mutate(mutant);
      if (!Validate(graph, mutant).ok()) {
        ++rejected;
        continue;
      }
      ++accepted;
      ASSERT_EQ(Simulate(graph, mutant), "") << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(rejected, accepted);
  EXPECT_GT(accepted, 100U);
}

/// conv -> relu -> conv with a residual, and a Concat.
graph::Graph SmallNetwork() {
  NetworkBuilder net;
  const auto in = net.Input({1, 8, 8, 16});
  const auto a = net.Conv(in, 16, 3);
  const auto b = net.Relu(a);
  const auto c = net.ConvAdd(in, b, 16, 1);
  const auto d = net.Conv(c, 32, 3);
  net.Output(net.Concat({c, d}, 3));
  return net.Finish();
}

TEST(Validate, RejectsEachBrokenRule) {
  const graph::Graph graph = SmallNetwork();
  const Result<Plan> plan = MakePlan(graph, {kUnlimited, 2, {0.1, 0.1, 0.1}});
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(Validate(graph, *plan).ok());
  ASSERT_GT(plan->steps[0].workers, 1U);
  const std::vector<std::pair<const char*, std::function<void(Plan&)>>> breaks = {
      {"pool over budget", [](Plan& p) { p.budget_bytes = p.pool_bytes - 1; }},
      {"pool cut", [](Plan& p) { p.pool_bytes -= 64; }},
      {"a step dropped", [](Plan& p) { p.steps.pop_back(); }},
      {"a step repeated", [](Plan& p) { p.steps[1] = p.steps[0]; }},
      {"a node that is not", [](Plan& p) { p.steps[0].node = static_cast<graph::NodeIndex>(99); }},
      {"order", [](Plan& p) { std::swap(p.steps[0], p.steps[1]); }},
      {"a placement dropped", [](Plan& p) { p.placements.pop_back(); }},
      {"misaligned", [](Plan& p) { p.placements[0].offset += 2; }},
      {"outside", [](Plan& p) { p.placements[0].offset = UINT64_MAX - 3; }},
      {"overflowing stride", [](Plan& p) { p.placements[0].pixel_stride_bytes = 1ULL << 62; }},
      {"narrow pixels", [](Plan& p) { p.placements[0].pixel_stride_bytes -= 4; }},
      {"no threads", [](Plan& p) { p.threads = 0; }},
      {"many threads", [](Plan& p) { p.threads = kMaxThreads + 1; }},
      {"more workers than threads", [](Plan& p) { p.threads = 1; }},
      {"no worker", [](Plan& p) { p.steps[0].workers = 0; }},
      {"workers without split", [](Plan& p) { p.steps[0].split = Split::kNone; }},
      {"panels too few", [](Plan& p) { p.steps[0].split = Split::kPanels; }},
      {"unknown split", [](Plan& p) { p.steps[0].split = static_cast<Split>(7); }},
      {"unknown form", [](Plan& p) { p.steps[0].form = static_cast<Form>(7); }},
      {"unknown weights", [](Plan& p) { p.steps[0].weights = static_cast<WeightsMode>(7); }},
      {"unknown direction", [](Plan& p) { p.steps[0].direction = static_cast<Direction>(7); }},
      {"weights not opened", [](Plan& p) { p.steps[0].weights = WeightsMode::kNone; }},
      {"weights from nowhere", [](Plan& p) { p.steps[1].weights = WeightsMode::kStreamed; }},
      {"held nowhere",
       [](Plan& p) {
         p.steps[0].weights = WeightsMode::kHeld;
         p.steps[0].slots.clear();
         p.steps[0].held = {};
       }},
      {"workspace missing", [](Plan& p) { p.steps[0].workspaces.pop_back(); }},
      {"bands of none", [](Plan& p) { p.steps[0].form = Form::kBand; }},
      {"elided work", [](Plan& p) { p.steps[0].elided = true; }},
  };
  for (const auto& [name, change] : breaks) {
    Plan broken = *plan;
    change(broken);
    const Status status = Validate(graph, broken);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, Code::kMalformed) << name;
  }
}

TEST(Validate, SlotsMustBeApartFromEachOtherAndFromTensors) {
  const graph::Graph graph = SmallNetwork();
  const Result<Plan> plan = MakePlan(graph, {kUnlimited, 2, {0.1, 0.1, 0.1}});
  ASSERT_TRUE(plan.ok());
  for (size_t i = 0; i < plan->steps.size(); ++i) {
    const Step& step = plan->steps[i];
    const auto expect_rejected = [&](const std::function<void(Step&)>& change) {
      Plan broken = *plan;
      change(broken.steps[i]);
      EXPECT_FALSE(Validate(graph, broken).ok()) << "step " << i;
    };
    const Placement& out = plan->placements[Position(graph.node(step.node).output)];
    if (step.slots.size() > 1) {
      expect_rejected([](Step& s) { s.slots[1] = s.slots[0]; });
      expect_rejected([](Step& s) { s.slots[0].bytes -= 64; });
      expect_rejected([](Step& s) { s.slots[0].offset += 4; });
      expect_rejected([&](Step& s) { s.slots[0].offset = out.offset; });
    }
    if (step.held.bytes > 0) {
      expect_rejected([](Step& s) { s.held.bytes -= 64; });
      expect_rejected([&](Step& s) { s.held.offset = out.offset; });
    }
  }
}

}  // namespace
}  // namespace coracle::plan

// Cascades, windows and tensors outside: what the validator accepts, and that one field changed is
// enough for it to refuse.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "plan/test_cascades.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"
#include "plan/validate.h"

namespace coracle::plan {
namespace {

using graph::TensorIndex;

/// A chain of convolutions with strides 1 and 2, a residual, a concatenation and a spilled tensor:
/// nodes 0 to 4 make one step, 5 and 6 another. Input, output and what passes between the steps lie
/// outside in blocks of two rows.
struct Fixture {
  TensorIndex in{}, a{}, b{}, c{}, d{}, spilled{}, e{}, out{};
  graph::Graph graph;
  Plan plan;

  Step& first() { return plan.steps[0]; }
  Step& second() { return plan.steps[1]; }
  TensorPlan& home(TensorIndex tensor) { return plan.tensors[Position(tensor)]; }
  static Window& WindowIn(Step& step, TensorIndex tensor) {
    for (Window& window : step.windows) {
      if (window.tensor == tensor) return window;
    }
    ADD_FAILURE() << "no window of tensor " << Position(tensor);
    return step.windows[0];
  }
  /// An offset with 64 KiB behind it that nothing uses.
  uint64_t Grow() {
    const uint64_t offset = plan.pool_bytes;
    plan.pool_bytes += 64 * 1024;
    plan.budget_bytes = plan.pool_bytes;
    return offset;
  }
  /// A copy of the window, out of the way of all else.
  Window Apart(Window window) {
    window.place.offset = Grow();
    return window;
  }
  static uint32_t IndexOf(Step& step, TensorIndex tensor) {
    return static_cast<uint32_t>(&WindowIn(step, tensor) - step.windows.data());
  }
  /// The n-th action of a kind in the step.
  static Action& Nth(Step& step, ActionKind kind, uint32_t n) {
    for (Action& action : step.actions) {
      if (action.kind == kind && n-- == 0) return action;
    }
    ADD_FAILURE() << "no such action";
    return step.actions[0];
  }
  static void Erase(Step& step, const Action& action) {
    step.actions.erase(step.actions.begin() + (&action - step.actions.data()));
  }
  /// The last computed row of a part comes before all else.
  static void Hurry(Step& step) {
    const Action last = step.actions.back();
    step.actions.pop_back();
    step.actions.insert(step.actions.begin(), last);
  }
};

Fixture MakeFixture(WeightsMode weights = WeightsMode::kHeld, uint32_t workers = 1) {
  Fixture made;
  NetworkBuilder net;
  made.in = net.Input({1, 17, 12, 8});
  made.a = net.Conv(made.in, 16, 3);
  made.b = net.Conv(made.a, 16, 3, 2);
  made.c = net.Conv(made.b, 16, 3);
  made.d = net.ConvAdd(made.c, made.b, 16, 3);
  made.spilled = net.Concat({made.b, made.d}, 3);
  made.e = net.Depthwise(made.spilled, 3);
  made.out = net.Conv(made.e, 24, 3);
  net.Output(made.out);
  made.graph = net.Finish();
  CascadeOptions options;
  options.cuts = {5};
  options.weights = weights;
  options.workers = workers;
  options.outside = {made.in, made.spilled, made.out};
  options.block_rows = 2;
  made.plan = MakeCascadePlan(made.graph, options);
  return made;
}

TEST(ValidateCascade, AcceptsWhatTheOracleFindsRight) {
  for (WeightsMode weights : {WeightsMode::kStreamed, WeightsMode::kHeld, WeightsMode::kPinned}) {
    for (uint32_t workers : {1U, 2U}) {
      const Fixture made = MakeFixture(weights, workers);
      const Status status = Validate(made.graph, made.plan);
      EXPECT_TRUE(status.ok()) << status.error().message;
      EXPECT_EQ(Simulate(made.graph, made.plan), "");
    }
  }
}

TEST(ValidateCascade, RingsHoldAFewRows) {
  Fixture made = MakeFixture();
  EXPECT_EQ(Fixture::WindowIn(made.first(), made.a).ring_rows, 3U);
  EXPECT_LT(Fixture::WindowIn(made.first(), made.b).ring_rows, 6U);
  EXPECT_EQ(Fixture::WindowIn(made.second(), made.spilled).ring_rows, 4U);
}

using Break = std::pair<const char*, std::function<void(Fixture&)>>;

void ExpectAllRejected(const Fixture& made, const std::vector<Break>& breaks) {
  ASSERT_TRUE(Validate(made.graph, made.plan).ok());
  for (const auto& [name, change] : breaks) {
    Fixture broken = made;
    change(broken);
    const Status status = Validate(broken.graph, broken.plan);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, Code::kMalformed) << name;
  }
}

TEST(ValidateCascade, RejectsWrongHomes) {
  ExpectAllRejected(
      MakeFixture(),
      {
          {"a window's tensor in the pool", [](Fixture& f) { f.home(f.a).home = Home::kPool; }},
          {"an input of a step", [](Fixture& f) { f.home(f.in).home = Home::kStep; }},
          {"an output of a step", [](Fixture& f) { f.home(f.out).home = Home::kStep; }},
          {"between steps, nowhere", [](Fixture& f) { f.home(f.spilled).home = Home::kStep; }},
          {"never sealed", [](Fixture& f) { f.home(f.a).home = Home::kOutside; }},
          {"blocks of no rows", [](Fixture& f) { f.home(f.in).block_rows = 0; }},
          {"blocks of all and more", [](Fixture& f) { f.home(f.in).block_rows = 18; }},
          {"other blocks", [](Fixture& f) { f.home(f.spilled).block_rows = 3; }},
          {"more counters", [](Fixture& f) { f.home(f.spilled).block_rows = 1; }},
          {"counters cut", [](Fixture& f) { f.home(f.in).counters.bytes -= 8; }},
          {"counters of none", [](Fixture& f) { f.home(f.out).counters = {}; }},
          {"counters misaligned", [](Fixture& f) { f.home(f.in).counters.offset += 8; }},
          {"counters not in the pool",
           [](Fixture& f) { f.home(f.in).counters.offset = f.plan.pool_bytes; }},
          {"counters twice",
           [](Fixture& f) { f.home(f.in).counters = f.home(f.spilled).counters; }},
          {"counters in a window",
           [](Fixture& f) { f.home(f.in).counters.offset = f.first().windows[0].place.offset; }},
          {"a window over counters",
           [](Fixture& f) {
             Fixture::WindowIn(f.second(), f.e).place.offset = f.home(f.out).counters.offset;
           }},
          {"staging on counters",
           [](Fixture& f) { f.plan.input_staging.offset = f.home(f.in).counters.offset; }},
          {"output staging on counters",
           [](Fixture& f) { f.plan.output_staging.offset = f.home(f.out).counters.offset; }},
          {"staging cut", [](Fixture& f) { f.plan.input_staging.bytes -= 64; }},
          {"no staging", [](Fixture& f) { f.plan.input_staging = {}; }},
          {"no output staging", [](Fixture& f) { f.plan.output_staging = {}; }},
      });
}

TEST(ValidateCascade, RejectsWrongWindows) {
  ExpectAllRejected(
      MakeFixture(),
      {
          {"one dropped", [](Fixture& f) { f.first().windows.pop_back(); }},
          {"one twice",
           [](Fixture& f) { f.first().windows.push_back(f.Apart(f.first().windows[0])); }},
          {"one of another step's",
           [](Fixture& f) {
             f.second().windows.push_back(f.Apart(Fixture::WindowIn(f.first(), f.a)));
           }},
          {"one of no tensor",
           [](Fixture& f) { f.first().windows[0].tensor = static_cast<TensorIndex>(99); }},
          {"no rows", [](Fixture& f) { f.first().windows[0].ring_rows = 0; }},
          {"too many rows", [](Fixture& f) { f.first().windows[0].ring_rows = 18; }},
          {"a ring one short", [](Fixture& f) { --Fixture::WindowIn(f.first(), f.a).ring_rows; }},
          {"a residual's ring one short",
           [](Fixture& f) { --Fixture::WindowIn(f.first(), f.b).ring_rows; }},
          {"the middle's ring one short",
           [](Fixture& f) { --Fixture::WindowIn(f.first(), f.c).ring_rows; }},
          {"half a block", [](Fixture& f) { --Fixture::WindowIn(f.first(), f.in).ring_rows; }},
          {"a block short", [](Fixture& f) { Fixture::WindowIn(f.first(), f.in).ring_rows -= 2; }},
          {"half a block more",
           [](Fixture& f) {
             Window& window = Fixture::WindowIn(f.second(), f.out);
             window = f.Apart(window);
             ++window.ring_rows;
           }},
          {"blocks with gaps",
           [](Fixture& f) {
             Window& window = Fixture::WindowIn(f.second(), f.out);
             window = f.Apart(window);
             window.place.pixel_stride_bytes += 4;
             window.place.row_stride_bytes += uint64_t{4} * 6;
           }},
          {"blocks misaligned", [](Fixture& f) { f.first().windows[0].place.offset += 4; }},
          {"not in the pool",
           [](Fixture& f) { f.first().windows.back().place.offset = f.plan.pool_bytes - 64; }},
          {"over one another",
           [](Fixture& f) {
             f.first().windows[1].place.offset = f.first().windows[0].place.offset;
           }},
          {"over weights",
           [](Fixture& f) { f.first().windows[1].place.offset = f.first().parts[0].held.offset; }},
          {"weights over weights",
           [](Fixture& f) { f.first().parts[1].held = f.first().parts[0].held; }},
          {"weights cut", [](Fixture& f) { f.first().parts[3].held.bytes -= 64; }},
      });
}

TEST(ValidateCascade, RejectsWrongActions) {
  const auto compute = ActionKind::kCompute;
  const auto open = ActionKind::kOpen;
  const auto seal = ActionKind::kSeal;
  ExpectAllRejected(
      MakeFixture(),
      {
          {"a row too early", [](Fixture& f) { Fixture::Hurry(f.second()); }},
          {"a row not computed",
           [=](Fixture& f) { Fixture::Erase(f.first(), Fixture::Nth(f.first(), compute, 5)); }},
          {"a row twice",
           [=](Fixture& f) { f.first().actions.push_back(Fixture::Nth(f.first(), compute, 0)); }},
          {"a block not opened",
           [=](Fixture& f) { Fixture::Erase(f.first(), Fixture::Nth(f.first(), open, 2)); }},
          {"a block not sealed",
           [=](Fixture& f) { Fixture::Erase(f.first(), Fixture::Nth(f.first(), seal, 1)); }},
          {"the last block not sealed", [](Fixture& f) { f.second().actions.pop_back(); }},
          {"a block sealed twice",
           [=](Fixture& f) { f.second().actions.push_back(f.second().actions.back()); }},
          {"half a block opened", [=](Fixture& f) { --Fixture::Nth(f.first(), open, 1).end; }},
          {"half a block sealed", [=](Fixture& f) { --Fixture::Nth(f.first(), seal, 1).end; }},
          {"no rows opened", [=](Fixture& f) { Fixture::Nth(f.first(), open, 0).end = 0; }},
          {"rows beyond the last", [=](Fixture& f) { ++Fixture::Nth(f.first(), open, 8).end; }},
          {"more than the window takes",
           [=](Fixture& f) { Fixture::Nth(f.first(), open, 0).end = 16; }},
          {"half a block opened from its middle",
           [=](Fixture& f) {
             auto& actions = f.first().actions;
             const uint32_t window = Fixture::IndexOf(f.first(), f.in);
             actions.insert(actions.begin() + 1, {ActionKind::kOpen, window, 1, 2});
           }},
          {"opens what it makes",
           [=](Fixture& f) {
             auto& actions = f.second().actions;
             const uint32_t window = Fixture::IndexOf(f.second(), f.out);
             actions.insert(actions.begin(), {ActionKind::kOpen, window, 0, 2});
           }},
          {"seals what it reads",
           [=](Fixture& f) {
             auto& actions = f.first().actions;
             const uint32_t window = Fixture::IndexOf(f.first(), f.in);
             actions.insert(actions.begin() + 1, {ActionKind::kSeal, window, 0, 2});
           }},
          {"opens what is nowhere",
           [=](Fixture& f) {
             Fixture::Nth(f.first(), open, 0).index = Fixture::IndexOf(f.first(), f.a);
           }},
          {"a window that is not", [=](Fixture& f) { Fixture::Nth(f.first(), open, 0).index = 9; }},
          {"a part that is not",
           [=](Fixture& f) { Fixture::Nth(f.first(), compute, 0).index = 9; }},
          {"parts in the wrong order",
           [](Fixture& f) { std::swap(f.first().parts[0], f.first().parts[1]); }},
          {"steps in the wrong order",
           [](Fixture& f) { std::swap(f.plan.steps[0], f.plan.steps[1]); }},
          {"a layer of many", [](Fixture& f) { f.first().form = Form::kLayer; }},
          {"bands of many", [](Fixture& f) { f.first().form = Form::kBand; }},
          {"elided among others", [](Fixture& f) { f.first().parts[4].elided = true; }},
      });
}

TEST(ValidateCascade, RejectsWrongScratch) {
  ExpectAllRejected(
      MakeFixture(WeightsMode::kStreamed, 2),
      {
          {"a slot for the smallest part only", [](Fixture& f) { f.first().slots[0].bytes = 64; }},
          {"one slot for two", [](Fixture& f) { f.first().slots[1] = f.first().slots[0]; }},
          {"a slot missing", [](Fixture& f) { f.first().slots.pop_back(); }},
          {"a slot too many", [](Fixture& f) { f.first().slots.push_back(f.first().slots[0]); }},
          {"a slot on a window",
           [](Fixture& f) { f.first().slots[0].offset = f.first().windows[2].place.offset; }},
          {"a workspace missing", [](Fixture& f) { f.second().workspaces.pop_back(); }},
          {"nobody at work", [](Fixture& f) { f.first().workers = 0; }},
          {"nothing divided",
           [](Fixture& f) {
             for (Part& part : f.first().parts) part.split = Split::kNone;
           }},
          {"panels where there are none",
           [](Fixture& f) { f.first().parts[4].split = Split::kPanels; }},
      });
}

/// Blocks of a tensor outside may be opened again, and in any order.
TEST(ValidateCascade, BlocksMayBeOpenedAgain) {
  Fixture made = MakeFixture();
  auto& actions = made.first().actions;
  const Action first = Fixture::Nth(made.first(), ActionKind::kOpen, 0);
  actions.insert(actions.begin(), first);  // before it is used
  EXPECT_TRUE(Validate(made.graph, made.plan).ok());
  actions.push_back(first);  // when nobody asks any more
  EXPECT_TRUE(Validate(made.graph, made.plan).ok());
  EXPECT_EQ(Simulate(made.graph, made.plan), "");
  // In the middle it puts out rows that are about to be read.
  const auto reader =
      std::find(actions.begin(), actions.end(), Action{ActionKind::kCompute, 0, 8, 9});
  ASSERT_NE(reader, actions.end());
  actions.insert(reader, first);
  EXPECT_FALSE(Validate(made.graph, made.plan).ok());
  EXPECT_NE(Simulate(made.graph, made.plan), "");
}

TEST(ValidateCascade, SeveralImagesStayInThePool) {
  NetworkBuilder net;
  const auto in = net.Input({2, 8, 8, 8});
  const auto a = net.Relu(in);
  net.Output(net.Relu(a));
  const graph::Graph graph = net.Finish();
  const Plan plan = MakeCascadePlan(graph, {});
  ASSERT_TRUE(Validate(graph, plan).ok());
  Plan bands = plan;
  bands.steps[0].form = Form::kBand;
  bands.steps[0].actions = {{ActionKind::kCompute, 0, 0, 3}, {ActionKind::kCompute, 0, 3, 8}};
  EXPECT_FALSE(Validate(graph, bands).ok());
  Plan outside = plan;
  outside.tensors[Position(in)].home = Home::kOutside;
  outside.tensors[Position(in)].block_rows = 1;
  EXPECT_FALSE(Validate(graph, outside).ok());
}

/// A cascade may write to the pool over a tensor that it reads for the last time.
TEST(ValidateCascade, OutputsMayFollowAnOperandInThePool) {
  NetworkBuilder net;
  const auto in = net.Input({1, 16, 4, 16});
  const auto made = net.Conv(in, 16, 3);
  const auto out = net.Conv(net.Conv(made, 16, 3), 16, 3);
  net.Output(out);
  const graph::Graph graph = net.Finish();
  CascadeOptions options;
  options.cuts = {1};
  Plan plan = MakeCascadePlan(graph, options);
  ASSERT_TRUE(Validate(graph, plan).ok());
  const Placement& operand = plan.tensors[Position(made)].place;
  Placement& place = plan.tensors[Position(out)].place;
  // When row y of the output is computed, the operand's rows from y + 1 on are still to be read:
  // what is made of those before it lives on in the ring of the tensor between.
  for (uint64_t rows = 0; rows < 4; ++rows) {
    place.offset = operand.offset - rows * operand.row_stride_bytes;
    EXPECT_EQ(Validate(graph, plan).ok(), Simulate(graph, plan).empty()) << rows;
  }
  place.offset = operand.offset;
  EXPECT_TRUE(Validate(graph, plan).ok());
  place.offset = operand.offset + operand.row_stride_bytes;
  EXPECT_FALSE(Validate(graph, plan).ok());
  EXPECT_NE(Simulate(graph, plan), "");
}

TEST(ValidateCascade, OnlyStepsOfOneNodeMayGoDescending) {
  NetworkBuilder net;
  const auto in = net.Input({1, 8, 8, 8});
  net.Output(net.Relu(in));
  net.Output(net.Relu(in));
  const graph::Graph graph = net.Finish();
  CascadeOptions options;
  for (bool together : {true, false}) {
    if (!together) options.cuts = {1};
    Plan plan = MakeCascadePlan(graph, options);
    ASSERT_TRUE(Validate(graph, plan).ok());
    for (Step& step : plan.steps) std::reverse(step.actions.begin(), step.actions.end());
    EXPECT_EQ(Validate(graph, plan).ok(), !together);
  }
}

TEST(ValidateCascade, RecurrencesNeverGoDescending) {
  NetworkBuilder net;
  const auto gates = net.Input({1, 8, 32});
  net.Output(net.Recurrence({.cell = graph::CellKind::kLstm, .hidden = 8}, {gates}));
  const graph::Graph graph = net.Finish();
  Plan plan = MakeCascadePlan(graph, CascadeOptions{});
  ASSERT_TRUE(Validate(graph, plan).ok());
  ASSERT_EQ(Simulate(graph, plan), "");
  ASSERT_GT(plan.steps[0].actions.size(), 1U);
  std::reverse(plan.steps[0].actions.begin(), plan.steps[0].actions.end());
  EXPECT_FALSE(Validate(graph, plan).ok());
}

TEST(ValidateCascade, TakesMillisecondsForManyActions) {
  const graph::Graph graph = MakeChain(499, 200);
  CascadeOptions options;
  for (uint32_t i = 10; i < 500; i += 10) options.cuts.push_back(i);
  options.outside = {graph.inputs[0].tensor, graph.outputs[0].tensor};
  const Plan plan = MakeCascadePlan(graph, options);
  size_t actions = 0;
  for (const Step& step : plan.steps) actions += step.actions.size();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Validate(graph, plan).ok());
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  std::printf("%zu nodes in %zu steps, %zu actions: %.2f ms\n", graph.nodes.size(),
              plan.steps.size(), actions, taken.count());
  EXPECT_LT(taken.count(), 500);
}

}  // namespace
}  // namespace coracle::plan

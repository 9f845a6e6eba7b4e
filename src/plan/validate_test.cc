#include "plan/validate.h"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <vector>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "gtest/gtest.h"
#include "plan/test_cascades.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"

namespace coracle::plan {
namespace {

/// Rates that make steps worth dividing.
MachineRates SlowRates() {
  MachineRates rates;
  rates.fma_gflops = 0.1;
  rates.aead_gbps = 0.1;
  return rates;
}

/// Budgets from the least to far more than enough.
std::vector<uint64_t> BudgetsOf(const graph::Graph& graph) {
  const uint64_t least = FindLeastBudget(graph).bytes;
  return {least, least + least / 16, least + least / 4, 2 * least, kUnlimited};
}

/// Plans, validates and simulates random networks in several budgets.
void ExpectRightPlans(graph::Graph (*make)(uint32_t seed),
                      std::initializer_list<uint32_t> threads) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph graph = make(seed);
    for (const uint64_t budget_bytes : BudgetsOf(graph)) {
      for (const uint32_t thread_count : threads) {
        const Result<Plan> plan = MakePlan(graph, {budget_bytes, thread_count, SlowRates()});
        ASSERT_TRUE(plan.ok()) << plan.error().message;
        const Status status = Validate(graph, *plan);
        ASSERT_TRUE(status.ok()) << status.error().message;
        ASSERT_EQ(Simulate(graph, *plan), "");
      }
    }
  }
}

TEST(Validate, AcceptsEveryPlanOfRandomNetworks) { ExpectRightPlans(MakeRandomNetwork, {1, 3, 8}); }

TEST(Validate, AcceptsEveryPlanOfRandomSequences) { ExpectRightPlans(MakeRandomSequences, {1, 3}); }

TEST(Validate, AcceptsEveryPlanOfRandomQuantizedNetworks) {
  ExpectRightPlans(MakeRandomQuantized, {1, 3});
}

/// in -> quantised -> reshaped -> float32 again.
struct ReshapedBytes {
  graph::Graph graph;
  graph::TensorIndex quantized{}, reshaped{};
  Plan plan;

  ReshapedBytes() {
    NetworkBuilder net;
    quantized = net.Quantize(net.Input({1, 8, 8, 5}));
    reshaped = net.Reshape(quantized, {1, 64, 5});
    net.Output(net.Dequantize(reshaped));
    graph = net.Finish();
    CascadeOptions options;
    options.cuts = {1, 2};
    plan = MakeCascadePlan(graph, options);
  }
};

TEST(Validate, BytesMayLieAnywhereAndFloatsMayNot) {
  const ReshapedBytes made;
  for (const uint64_t shift : {1U, 4U}) {
    for (size_t i = 0; i < made.plan.tensors.size(); ++i) {
      Plan shifted = made.plan;
      shifted.pool_bytes += 64;
      // The last tensor, so that nothing else is in the way.
      shifted.tensors[i].place.offset = made.plan.pool_bytes + shift;
      shifted.pool_bytes += graph::TensorBytes(made.graph, static_cast<graph::TensorIndex>(i));
      shifted.budget_bytes = shifted.pool_bytes;
      const bool bytes = made.graph.tensors[i].dtype == DType::kUint8;
      ASSERT_EQ(Validate(made.graph, shifted).ok(), bytes || shift == 4) << i << " " << shift;
      if (!bytes && shift != 4) continue;
      EXPECT_EQ(Simulate(made.graph, shifted), "");
    }
  }
}

TEST(Validate, NothingIsElidedAcrossTypesAndPortsAreFloats) {
  ReshapedBytes made;
  Step& step = made.plan.steps[1];
  const graph::NodeIndex node = step.parts[0].node;
  step = {};
  step.parts.emplace_back();
  step.parts[0].node = node;
  step.parts[0].elided = true;
  made.plan.tensors[Position(made.reshaped)].place.offset =
      made.plan.tensors[Position(made.quantized)].place.offset;
  ASSERT_TRUE(Validate(made.graph, made.plan).ok());
  graph::Graph mixed = made.graph;
  mixed.tensor(made.quantized).dtype = DType::kFloat32;
  Placement& place = made.plan.tensors[Position(made.quantized)].place;
  place = {made.plan.pool_bytes, 8 * 5 * 4, 5 * 4};
  made.plan.tensors[Position(made.reshaped)].place.offset = place.offset;
  made.plan.pool_bytes += 64 * 5 * 4;
  made.plan.budget_bytes = made.plan.pool_bytes;
  const Status status = Validate(mixed, made.plan);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("of another type"), std::string::npos)
      << status.error().message;
  graph::Graph port = made.graph;
  port.tensor(port.outputs[0].tensor).dtype = DType::kUint8;
  EXPECT_NE(Validate(port, made.plan).error().message.find("is not float32"), std::string::npos);
  port = made.graph;
  port.tensor(made.quantized).dtype = DType::kInt16;
  EXPECT_NE(Validate(port, made.plan).error().message.find("neither"), std::string::npos);
}

TEST(Validate, RecurrencesAreNotDivided) {
  NetworkBuilder net;
  const auto gates = net.Input({1, 16, 32});
  net.Output(net.Recurrence({.cell = graph::CellKind::kLstm, .hidden = 8}, {gates}));
  const graph::Graph graph = net.Finish();
  Result<Plan> plan = MakePlan(graph, {kUnlimited, 4, SlowRates()});
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(Validate(graph, *plan).ok());
  ASSERT_EQ(plan->steps.size(), 1U);
  Step& step = plan->steps[0];
  EXPECT_EQ(step.parts[0].split, Split::kNone);
  plan->threads = 2;
  step.workers = 2;
  step.workspaces.push_back({plan->pool_bytes, step.workspaces[0].bytes});
  plan->pool_bytes += RoundUp(step.workspaces[0].bytes, kPoolAlignment);
  step.parts[0].split = Split::kRows;
  const Status status = Validate(graph, *plan);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("divided"), std::string::npos) << status.error().message;
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

Part& PartOf(Plan& plan) { return plan.steps[0].parts[0]; }
Action& ActionOf(Plan& plan) { return plan.steps[0].actions[0]; }

void HoldFirst(Plan& plan, WeightsMode mode) {
  PartOf(plan).weights = mode;
  PartOf(plan).held = {};
  plan.steps[0].slots.clear();
}

/// The first step's only action in two.
void CutFirst(Plan& plan, Form form) {
  plan.steps[0].form = form;
  Action second = ActionOf(plan);
  second.begin = ActionOf(plan).end = 3;
  plan.steps[0].actions.push_back(second);
}

TEST(Validate, RejectsEachBrokenRule) {
  const graph::Graph graph = SmallNetwork();
  Result<Plan> plan = MakePlan(graph, {kUnlimited, 2, SlowRates(), Pinning::kNone});
  ASSERT_TRUE(plan.ok());
  // The first step as one layer, whatever bands it was cut into.
  ASSERT_TRUE(plan->steps[0].windows.empty());
  ASSERT_EQ(plan->steps[0].parts.size(), 1U);
  plan->steps[0].form = Form::kLayer;
  plan->steps[0].actions = {{ActionKind::kCompute, 0, 0, 8}};
  ASSERT_TRUE(Validate(graph, *plan).ok());
  ASSERT_GT(plan->steps[0].workers, 1U);
  const std::vector<std::pair<const char*, std::function<void(Plan&)>>> breaks = {
      {"pool over budget", [](Plan& p) { p.budget_bytes = p.pool_bytes - 1; }},
      {"pool cut", [](Plan& p) { p.pool_bytes -= 64; }},
      {"a step dropped", [](Plan& p) { p.steps.pop_back(); }},
      {"a step repeated", [](Plan& p) { p.steps[1] = p.steps[0]; }},
      {"a step of nothing", [](Plan& p) { p.steps[0].parts.clear(); }},
      {"an empty step", [](Plan& p) { p.steps.emplace_back(); }},
      {"a node that is not", [](Plan& p) { PartOf(p).node = static_cast<graph::NodeIndex>(99); }},
      {"order", [](Plan& p) { std::swap(p.steps[0], p.steps[1]); }},
      {"a tensor dropped", [](Plan& p) { p.tensors.pop_back(); }},
      {"misaligned", [](Plan& p) { p.tensors[0].place.offset += 2; }},
      {"outside", [](Plan& p) { p.tensors[0].place.offset = UINT64_MAX - 3; }},
      {"overflowing", [](Plan& p) { p.tensors[0].place.pixel_stride_bytes = 1ULL << 62; }},
      {"narrow pixels", [](Plan& p) { p.tensors[0].place.pixel_stride_bytes -= 4; }},
      {"rows apart", [](Plan& p) { p.tensors[0].place.row_stride_bytes += 4; }},
      {"unknown home", [](Plan& p) { p.tensors[0].home = static_cast<Home>(7); }},
      {"an input from nowhere", [](Plan& p) { p.tensors[0].home = Home::kStep; }},
      {"no threads", [](Plan& p) { p.threads = 0; }},
      {"many threads", [](Plan& p) { p.threads = kMaxThreads + 1; }},
      {"more workers than threads", [](Plan& p) { p.threads = 1; }},
      {"no worker", [](Plan& p) { p.steps[0].workers = 0; }},
      {"workers without split", [](Plan& p) { PartOf(p).split = Split::kNone; }},
      {"panels too few", [](Plan& p) { PartOf(p).split = Split::kPanels; }},
      {"unknown split", [](Plan& p) { PartOf(p).split = static_cast<Split>(7); }},
      {"unknown form", [](Plan& p) { p.steps[0].form = static_cast<Form>(7); }},
      {"a cascade of one", [](Plan& p) { p.steps[0].form = Form::kCascade; }},
      {"unknown weights", [](Plan& p) { PartOf(p).weights = static_cast<WeightsMode>(7); }},
      {"weights not opened", [](Plan& p) { PartOf(p).weights = WeightsMode::kNone; }},
      {"weights from nowhere",
       [](Plan& p) { p.steps[1].parts[0].weights = WeightsMode::kStreamed; }},
      {"held nowhere", [](Plan& p) { HoldFirst(p, WeightsMode::kHeld); }},
      {"pinned nowhere", [](Plan& p) { HoldFirst(p, WeightsMode::kPinned); }},
      {"workspace missing", [](Plan& p) { p.steps[0].workspaces.pop_back(); }},
      {"no action", [](Plan& p) { p.steps[0].actions.clear(); }},
      {"an action of no part", [](Plan& p) { p.steps[0].actions[0].index = 1; }},
      {"an unknown action", [](Plan& p) { ActionOf(p).kind = static_cast<ActionKind>(7); }},
      {"opens without windows", [](Plan& p) { ActionOf(p).kind = ActionKind::kOpen; }},
      {"rows left out", [](Plan& p) { --ActionOf(p).end; }},
      {"rows too many", [](Plan& p) { ++ActionOf(p).end; }},
      {"no rows", [](Plan& p) { ActionOf(p).end = 0; }},
      {"rows twice", [](Plan& p) { p.steps[0].actions.push_back(ActionOf(p)); }},
      {"too many actions",
       [](Plan& p) { p.steps[0].actions.resize(kMaxActions + 1, ActionOf(p)); }},
      {"a layer in bands", [](Plan& p) { CutFirst(p, Form::kLayer); }},
      {"elided work", [](Plan& p) { PartOf(p).elided = true; }},
  };
  for (const auto& [name, change] : breaks) {
    Plan broken = *plan;
    change(broken);
    const Status status = Validate(graph, broken);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, Code::kMalformed) << name;
  }
  Plan bands = *plan;
  CutFirst(bands, Form::kBand);
  EXPECT_TRUE(Validate(graph, bands).ok());
  std::reverse(bands.steps[0].actions.begin(), bands.steps[0].actions.end());
  EXPECT_TRUE(Validate(graph, bands).ok());
}

TEST(Validate, SlotsMustBeApartFromEachOtherAndFromTensors) {
  const graph::Graph graph = SmallNetwork();
  const Result<Plan> plan = MakePlan(graph, {kUnlimited, 2, SlowRates(), Pinning::kNone});
  ASSERT_TRUE(plan.ok());
  for (size_t i = 0; i < plan->steps.size(); ++i) {
    const Step& step = plan->steps[i];
    const auto expect_rejected = [&](const std::function<void(Step&)>& change) {
      Plan broken = *plan;
      change(broken.steps[i]);
      EXPECT_FALSE(Validate(graph, broken).ok()) << "step " << i;
    };
    const graph::Node& node = graph.node(step.parts[0].node);
    const Placement& out = plan->tensors[Position(node.output)].place;
    if (step.slots.size() > 1) {
      expect_rejected([](Step& s) { s.slots[1] = s.slots[0]; });
      expect_rejected([](Step& s) { s.slots[0].bytes -= 64; });
      expect_rejected([](Step& s) { s.slots[0].offset += 4; });
      expect_rejected([&](Step& s) { s.slots[0].offset = out.offset; });
    }
    if (step.parts[0].held.bytes > 0) {
      expect_rejected([](Step& s) { s.parts[0].held.bytes -= 64; });
      expect_rejected([&](Step& s) { s.parts[0].held.offset = out.offset; });
    }
  }
}

/// in -> a -> b, all of one shape, a and b each alone in its step; b lies `shift_rows` behind a.
struct Overlaid {
  graph::Graph graph;
  Plan plan;
};

Overlaid OverlayConv(uint32_t kernel, int64_t shift_rows, uint32_t rows_per_action) {
  NetworkBuilder net;
  const auto in = net.Input({1, 16, 4, 16});
  const auto a = net.Conv(in, 16, 1);
  const auto b = net.Conv(a, 16, kernel);
  net.Output(b);
  Overlaid made{net.Finish(), {}};
  CascadeOptions options;
  options.cuts = {1};
  options.rows_per_action = rows_per_action;
  made.plan = MakeCascadePlan(made.graph, options);
  Placement& out = made.plan.tensors[Position(b)].place;
  const Placement& operand = made.plan.tensors[Position(a)].place;
  out.offset = operand.offset + static_cast<uint64_t>(shift_rows) * operand.row_stride_bytes;
  return made;
}

TEST(Validate, BandsMayOverwriteOnlyWhatNobodyReadsAnyMore) {
  // Rows of a 3x3 convolution read one row behind and one ahead: the output must lie one action and
  // one row before the operand if rows ascend, as far behind it if they descend.
  for (uint32_t rows : {1U, 2U, 3U}) {
    const int64_t apart = int64_t{rows} + 1;
    for (int64_t shift = -6; shift <= 6; ++shift) {
      const Overlaid made = OverlayConv(3, shift, rows);
      Plan upwards = made.plan;
      std::reverse(upwards.steps[1].actions.begin(), upwards.steps[1].actions.end());
      EXPECT_EQ(Validate(made.graph, made.plan).ok(), shift <= -apart) << rows << " " << shift;
      EXPECT_EQ(Validate(made.graph, upwards).ok(), shift >= apart) << rows << " " << shift;
      EXPECT_EQ(Simulate(made.graph, made.plan).empty(), shift <= -apart) << rows << " " << shift;
      EXPECT_EQ(Simulate(made.graph, upwards).empty(), shift >= apart) << rows << " " << shift;
    }
  }
  // Nor may a convolution of single pixels lie exactly over its operand: the first output channels
  // of a row are there before the last ones have read it.
  const Overlaid exact = OverlayConv(1, 0, 1);
  EXPECT_FALSE(Validate(exact.graph, exact.plan).ok());
}

TEST(Validate, OnlySomeOperatorsReplaceTheirOperand) {
  for (bool allowed : {true, false}) {
    NetworkBuilder net;
    const auto a = net.Relu(net.Input({1, 8, 8, 8}));
    const auto b = allowed ? net.Relu(a) : net.Pool(a, 3, 1);
    net.Output(b);
    const graph::Graph graph = net.Finish();
    CascadeOptions options;
    options.cuts = {1};
    for (uint32_t rows : {1U, 8U}) {
      options.rows_per_action = rows;
      Plan plan = MakeCascadePlan(graph, options);
      plan.tensors[Position(b)].place = plan.tensors[Position(a)].place;
      EXPECT_EQ(Validate(graph, plan).ok(), allowed);
      EXPECT_EQ(Simulate(graph, plan).empty(), allowed);
    }
  }
}

TEST(Validate, PinnedWeightsAreApartFromEverythingAtAllTimes) {
  const graph::Graph graph = SmallNetwork();
  CascadeOptions options;
  options.cuts = {1, 2, 3, 4};
  options.weights = WeightsMode::kPinned;
  const Plan plan = MakeCascadePlan(graph, options);
  ASSERT_TRUE(Validate(graph, plan).ok());
  ASSERT_EQ(Simulate(graph, plan), "");
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    Plan broken = plan;  // the first step's weights, over what lives after it
    for (Step& step : broken.steps) {
      if (step.parts[0].held.bytes > 0) {
        step.parts[0].held.offset = plan.tensors[i].place.offset / 64 * 64;
        break;
      }
    }
    EXPECT_FALSE(Validate(graph, broken).ok()) << i;
  }
  Plan broken = plan;
  ASSERT_GT(broken.steps[3].parts[0].held.bytes, 0U);
  broken.steps[3].parts[0].held.offset = broken.steps[0].parts[0].held.offset;
  EXPECT_FALSE(Validate(graph, broken).ok());
}

}  // namespace
}  // namespace coracle::plan

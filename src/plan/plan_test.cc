#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/kernel.h"
#include "plan/node_cost.h"
#include "plan/test_networks.h"
#include "plan/validate.h"

namespace coracle::plan {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;

double Mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(kMiB); }

/// No action cuts a tile of rows that a kernel computes together.
void ExpectWholeGranules(const graph::Graph& graph, const Plan& plan) {
  for (const Step& step : plan.steps) {
    for (const Action& action : step.actions) {
      if (action.kind != ActionKind::kCompute) continue;
      const graph::Node& node = graph.node(step.parts[action.index].node);
      const uint32_t granule = kernels::RowGranule(node);
      const uint32_t all = OutputRows(graph, node);
      EXPECT_EQ(action.begin % granule, 0U) << node.name;
      EXPECT_TRUE(action.end % granule == 0 || action.end == all) << node.name;
    }
  }
}

/// Plans, prints and validates.
Plan PlanOrFail(const graph::Graph& graph, const PlanRequest& request) {
  Result<Plan> plan = MakePlan(graph, request);
  if (!plan.ok()) {
    ADD_FAILURE() << plan.error().message;
    return {};
  }
  const Status status = Validate(graph, *plan);
  EXPECT_TRUE(status.ok()) << status.error().message;
  ExpectWholeGranules(graph, *plan);
  EXPECT_LE(plan->pool_bytes, request.budget_bytes);
  EXPECT_LE(plan->live_load_bound_bytes, plan->pool_bytes);
  return *std::move(plan);
}

/// A machine on which opening weights costs much beside computing.
MachineRates SlowRates() {
  MachineRates rates;
  rates.fma_gflops = 50;
  rates.aead_gbps = 1;
  rates.weight_gbps = 1;
  return rates;
}

struct Extremes {
  Plan layers, smallest;
};

Extremes PlanExtremes(const char* name, const graph::Graph& graph) {
  const auto start = std::chrono::steady_clock::now();
  const LeastBudget least = FindLeastBudget(graph);
  const auto middle = std::chrono::steady_clock::now();
  PlanRequest whole;
  whole.pinning = Pinning::kNone;
  Extremes extremes{PlanOrFail(graph, whole), PlanOrFail(graph, {least.bytes, 1, {}})};
  const auto end = std::chrono::steady_clock::now();
  const auto ms = [](auto duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  };
  uint32_t bands = 0;
  for (const Step& step : extremes.smallest.steps) bands += step.form == Form::kBand ? 1 : 0;
  std::printf(
      "%s: %zu steps; layers %.2f MiB (bound %.2f) %.2f ms; least %.2f MiB (bound %.2f, %u band "
      "steps, %s) %.2f ms; unplanned %.1f MiB; least found in %.1f ms, 2 plans in %.1f ms\n",
      name, graph.nodes.size(), Mebibytes(extremes.layers.pool_bytes),
      Mebibytes(extremes.layers.live_load_bound_bytes), extremes.layers.predicted_ms,
      Mebibytes(extremes.smallest.pool_bytes), Mebibytes(extremes.smallest.live_load_bound_bytes),
      bands, graph.node(least.node).name.c_str(), extremes.smallest.predicted_ms,
      Mebibytes(UnplannedBytes(graph)), ms(middle - start), ms(end - middle));
  return extremes;
}

TEST(PlanNetworks, Vgg16) {
  const Extremes plans = PlanExtremes("VGG-16", MakeVgg16());
  EXPECT_LE(plans.layers.pool_bytes, 32 * kMiB);
  EXPECT_LE(plans.smallest.pool_bytes, kMiB / 2);
  EXPECT_LE(FindLeastBudget(MakeVgg16(), Passes::kSingle).bytes, 66 * kMiB / 10);
}

TEST(PlanNetworks, ResNet50) {
  const Extremes plans = PlanExtremes("ResNet-50", MakeResNet50());
  EXPECT_LE(plans.layers.pool_bytes, 12 * kMiB);
  EXPECT_LE(plans.smallest.pool_bytes, kMiB / 2);
  EXPECT_LE(FindLeastBudget(MakeResNet50(), Passes::kSingle).bytes, 5 * kMiB);
}

/// Tiles of 4 and of 2 rows over maps that neither divides, with a residual around both.
TEST(PlanNetworks, WinogradsTilesAreNeverCut) {
  NetworkBuilder net;
  auto x = net.Conv(net.Input({1, 122, 90, 3}), 32, 3);
  for (const uint32_t channels : {64U, 128U}) {
    x = net.Pool(net.Winograd(x, channels, graph::ConvAlgorithm::kWinograd4), 3, 2);
    const auto inner = net.Winograd(x, channels, graph::ConvAlgorithm::kWinograd2);
    x = net.Winograd(inner, channels, graph::ConvAlgorithm::kWinograd4, x);
  }
  net.Output(net.Winograd(x, 32, graph::ConvAlgorithm::kWinograd2));
  const graph::Graph graph = net.Finish();
  const Plan layers = PlanExtremes("Winograd", graph).layers;
  uint32_t cut_up = 0;
  for (const uint32_t threads : {1U, 3U}) {
    for (uint64_t budget = layers.pool_bytes; budget >= FindLeastBudget(graph).bytes;
         budget = budget * 3 / 4) {
      const Plan plan = PlanOrFail(graph, {budget, threads, SlowRates()});
      for (const Step& step : plan.steps) cut_up += step.form == Form::kLayer ? 0 : 1;
    }
  }
  EXPECT_GT(cut_up, 0U);
}

TEST(PlanNetworks, MobileNetV2) {
  const Extremes plans = PlanExtremes("MobileNetV2", MakeMobileNetV2());
  EXPECT_LE(plans.layers.pool_bytes, 6 * kMiB);
  EXPECT_LE(plans.smallest.pool_bytes, 65 * kMiB / 100);
  EXPECT_LE(FindLeastBudget(MakeMobileNetV2(), Passes::kSingle).bytes, 85 * kMiB / 100);
}

TEST(PlanNetworks, DenseNet121ElidesItsConcats) {
  const graph::Graph graph = MakeDenseNet121();
  const Extremes plans = PlanExtremes("DenseNet-121", graph);
  for (const Step& step : plans.layers.steps) {
    const bool concat = graph.node(step.parts[0].node).kind() == graph::OpKind::kConcat;
    EXPECT_TRUE(step.parts[0].elided || !concat);
  }
}

TEST(PlanNetworks, UNet) { PlanExtremes("U-Net", MakeUNet(128)); }

TEST(PlanNetworks, LargeGraphs) {
  PlanExtremes("500 steps", MakeChain(500, 16));
  PlanExtremes("20000 steps", MakeChain(19'000, 8));
}

/// Two branches that grow and shrink, both grown before either shrinks. Two images: nothing flows
/// by rows, so that only the order of the branches can help.
TEST(MakePlan, OrdersIndependentBranches) {
  NetworkBuilder net;
  const auto in = net.Input({2, 16, 16, 8});
  const auto wide_a = net.Conv(in, 128, 1);
  const auto wide_b = net.Conv(in, 128, 1);
  const auto a = net.Conv(wide_a, 8, 1);
  const auto b = net.Conv(wide_b, 8, 1);
  net.Output(net.Add(a, b));
  const graph::Graph graph = net.Finish();
  const uint64_t wide_bytes = 2ULL * 16 * 16 * 128 * sizeof(float);
  const Plan plan = PlanOrFail(graph, {FindLeastBudget(graph).bytes, 1, {}});
  EXPECT_LT(plan.pool_bytes, 2 * wide_bytes);
}

TEST(MakePlan, LeastBudgetIsExact) {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph graph = seed % 3 == 2 ? MakeRandomQuantized(seed) : MakeRandomNetwork(seed);
    const LeastBudget least = FindLeastBudget(graph);
    for (const PlanRequest& request :
         {PlanRequest{least.bytes, 1, {}}, PlanRequest{least.bytes, 4, SlowRates()}}) {
      EXPECT_TRUE(MakePlan(graph, request).ok());
      PlanRequest less = request;
      less.budget_bytes = least.bytes - 1;
      const Result<Plan> refused = MakePlan(graph, less);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().code, Code::kOutOfBudget);
    }
  }
}

const Step& StepOf(const graph::Graph& graph, const Plan& plan, graph::TensorIndex made) {
  for (const Step& step : plan.steps) {
    for (const Part& part : step.parts) {
      if (graph.node(part.node).output == made) return step;
    }
  }
  ADD_FAILURE();
  return plan.steps[0];
}

// Its range is known when its last row has been made: 64 MiB that are needed once more then.
TEST(MakePlan, ATensorThatIsQuantizedByItsOwnRangeIsSpilled) {
  NetworkBuilder net;
  const auto x = net.Conv(net.Input({1, 1024, 1024, 3}), 16, 3);
  const auto range = net.RangeOf(x);
  const auto quantized = net.Quantize(x, range);
  const auto pooled = net.Pool(quantized, 2, 2);
  net.Output(net.Conv(net.Dequantize(pooled, range), 4, 3));
  const graph::Graph graph = net.Finish();
  const Plan plan = PlanOrFail(graph, {8 * kMiB, 1, {}});
  ASSERT_FALSE(plan.steps.empty());
  EXPECT_EQ(plan.tensors[Position(x)].home, Home::kOutside);
  const Step& first = StepOf(graph, plan, x);
  EXPECT_EQ(&first, &StepOf(graph, plan, graph.node(static_cast<graph::NodeIndex>(1)).output));
  const Step& second = StepOf(graph, plan, quantized);
  EXPECT_NE(&first, &second);
  EXPECT_EQ(&second, &StepOf(graph, plan, pooled));
  EXPECT_LT(FindLeastBudget(graph).bytes, kMiB);
  std::printf("64 MiB by its own range: %zu steps, %.2f MiB, least %.2f MiB\n", plan.steps.size(),
              Mebibytes(plan.pool_bytes), Mebibytes(FindLeastBudget(graph).bytes));
}

// A convolution's input, and what takes a quarter of the memory once it is quantised.
TEST(MakePlan, BytesTakeAQuarter) {
  const auto least = [](bool quantized) {
    NetworkBuilder net;
    auto x = net.Conv(net.Input({2, 32, 32, 8}), 64, 1);
    if (quantized) x = net.Quantize(x);
    x = net.Pool(net.Pool(x, 3, 1), 3, 1);
    if (quantized) x = net.Dequantize(x);
    net.Output(net.GlobalPool(x));
    return net.Finish();
  };
  const graph::Graph floats = least(false);
  const graph::Graph bytes = least(true);
  const uint64_t tensor = 2ULL * 32 * 32 * 64 * sizeof(float);
  EXPECT_GE(PlanOrFail(floats, {kUnlimited, 1, {}}).pool_bytes, 2 * tensor);
  EXPECT_LT(PlanOrFail(bytes, {FindLeastBudget(bytes).bytes, 1, {}}).pool_bytes,
            tensor + tensor / 4 + 64 * 1024);
}

TEST(MakePlan, RefusalSaysWhatIsNeededAndWhere) {
  const Result<Plan> refused = MakePlan(MakeVgg16(), {kMiB / 4, 1, {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(
      refused.error().message,
      testing::MatchesRegex("needs [0-9.]+ KiB .layer n[0-9]+( to n[0-9]+)?., has 256 KiB"));
}

TEST(MakePlan, LargerBudgetIsNeverSlower) {
  std::vector<graph::Graph> graphs{MakeUNet(64), MakeMobileNetV2()};
  for (uint32_t seed = 0; seed < 12; ++seed) graphs.push_back(MakeRandomNetwork(seed));
  for (const graph::Graph& graph : graphs) {
    const uint64_t least = FindLeastBudget(graph).bytes;
    for (uint32_t threads : {1U, 4U}) {
      double before = 1e300;
      for (uint64_t budget = least; budget < 3 * least; budget += least / 16 + 1) {
        const Result<Plan> plan = MakePlan(graph, {budget, threads, SlowRates(), Pinning::kNone});
        ASSERT_TRUE(plan.ok());
        EXPECT_LE(plan->pool_bytes, budget);
        // Where each weight can be opened once, that is preferred to what is up to 2 % faster.
        EXPECT_LE(plan->predicted_ms, before * 1.025);
        before = std::min(before, plan->predicted_ms);
      }
    }
  }
}

bool SameParts(const Step& a, const Step& b) {
  return std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), b.parts.end(),
                    [](const Part& x, const Part& y) {
                      return x.node == y.node && x.elided == y.elided && x.weights == y.weights &&
                             x.split == y.split && x.held == y.held;
                    });
}

bool SameWindows(const Step& a, const Step& b) {
  return std::equal(a.windows.begin(), a.windows.end(), b.windows.begin(), b.windows.end(),
                    [](const Window& x, const Window& y) {
                      return x.tensor == y.tensor && x.place == y.place &&
                             x.ring_rows == y.ring_rows;
                    });
}

bool SamePlan(const Plan& a, const Plan& b) {
  bool same = a.pool_bytes == b.pool_bytes && a.steps.size() == b.steps.size() &&
              a.predicted_ms == b.predicted_ms &&
              std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(),
                         [](const TensorPlan& x, const TensorPlan& y) {
                           return x.home == y.home && x.place == y.place &&
                                  x.block_rows == y.block_rows && x.counters == y.counters;
                         });
  for (size_t i = 0; same && i < a.steps.size(); ++i) {
    const Step& x = a.steps[i];
    const Step& y = b.steps[i];
    same = x.form == y.form && SameParts(x, y) && SameWindows(x, y) && x.actions == y.actions &&
           x.workers == y.workers && x.slots == y.slots && x.workspaces == y.workspaces;
  }
  return same;
}

TEST(MakePlan, IsDeterministic) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const graph::Graph graph = MakeRandomNetwork(seed);
    const PlanRequest request{FindLeastBudget(graph).bytes * 5 / 4, 2, {}};
    const Result<Plan> first = MakePlan(graph, request);
    const Result<Plan> second = MakePlan(graph, request);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_TRUE(SamePlan(*first, *second));
  }
}

TEST(MakePlan, UsesSeveralWorkersWhereTheyHelp) {
  const graph::Graph graph = MakeResNet50();
  const Plan one = PlanOrFail(graph, {kUnlimited, 1, {}, Pinning::kNone});
  const Plan two = PlanOrFail(graph, {kUnlimited, 2, {}, Pinning::kNone});
  EXPECT_EQ(one.threads, 1U);
  EXPECT_EQ(two.threads, 2U);
  EXPECT_LT(two.predicted_ms, one.predicted_ms * 0.6);
  uint32_t by_rows = 0;
  uint32_t by_panels = 0;
  for (const Step& step : two.steps) {
    by_rows += step.parts[0].split == Split::kRows ? 1 : 0;
    by_panels += step.parts[0].split == Split::kPanels ? 1 : 0;
  }
  EXPECT_GT(by_rows, 10U);
  EXPECT_GT(by_panels, 10U);
}

uint64_t OpenedBytes(const graph::Graph& graph, const Plan& plan) {
  uint64_t bytes = 0;
  for (const Step& step : plan.steps) {
    for (const Part& part : step.parts) {
      if (part.weights == WeightsMode::kHeld) bytes += graph.node(part.node).weights.TotalBytes();
    }
    for (const Action& action : step.actions) {
      if (action.kind != ActionKind::kCompute) continue;
      const Part& part = step.parts[action.index];
      if (part.weights != WeightsMode::kStreamed) continue;
      const uint32_t turns = step.turns == Turns::kOneByOne ? plan.batch : 1;
      bytes += turns * graph.node(part.node).weights.TotalBytes();
    }
  }
  return bytes;
}

// The first maps of eight inputs take 49 MiB: they are never there whole.
TEST(MakePlan, AConvoyOpensEachWeightOnceForAllInputs) {
  const graph::Graph graph = MakeResNet50();
  PlanRequest request{16 * kMiB, 1, {}, Pinning::kNone};
  request.batch = 8;
  const Plan eight = PlanOrFail(graph, request);
  EXPECT_EQ(eight.batch, 8U);
  uint64_t weight_bytes = 0;
  for (const graph::Node& node : graph.nodes) weight_bytes += node.weights.TotalBytes();
  EXPECT_LE(OpenedBytes(graph, eight), weight_bytes * 11 / 10);
  request.batch = 1;
  const Plan one = PlanOrFail(graph, request);
  EXPECT_LT(PredictedMsPerInput(eight), one.predicted_ms * 0.95);
  uint32_t together = 0;
  for (const Step& step : eight.steps) together += step.turns == Turns::kTogether ? 1 : 0;
  EXPECT_GT(together, 5U);
  EXPECT_EQ(eight.steps[0].form, Form::kCascade);
  EXPECT_EQ(eight.steps[0].turns, Turns::kOneByOne);
}

TEST(MakePlan, ConvoysThatMixTheirInputsAreRefused) {
  NetworkBuilder net;
  const auto x = net.Input({1, 8, 8, 4});
  net.Output(net.Concat({net.Relu(x), net.Conv(x, 4, 1)}, 0));
  const graph::Graph graph = net.Finish();
  PlanRequest request;
  EXPECT_TRUE(MakePlan(graph, request).ok());
  request.batch = 2;
  const Result<Plan> plan = MakePlan(graph, request);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, Code::kUnsupported);
  EXPECT_THAT(plan.error().message, ::testing::HasSubstr("joins along the batch axis"));
}

TEST(MakePlan, ThreadsOutOfRangeAreRefused) {
  const graph::Graph graph = MakeChain(3, 8);
  EXPECT_EQ(MakePlan(graph, {kUnlimited, 0, {}}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(MakePlan(graph, {kUnlimited, kMaxThreads + 1, {}}).error().code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace coracle::plan

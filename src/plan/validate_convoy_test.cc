// Plans for several inputs: what the validator accepts and refuses beside what it does for one.
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "plan/test_cascades.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"
#include "plan/validate.h"

namespace coracle::plan {
namespace {

using graph::TensorIndex;

constexpr uint32_t kBatch = 3;

/// Three layers: two in a cascade, its input outside in blocks of two rows (of 17), then one for
/// all inputs together.
struct Fixture {
  TensorIndex in{}, between{}, middle{}, out{};
  graph::Graph graph;
  Plan plan;

  Step& cascade() { return plan.steps[0]; }
  Step& together() { return plan.steps[1]; }
  TensorPlan& home(TensorIndex tensor) { return plan.tensors[Position(tensor)]; }
};

Fixture MakeFixture(WeightsMode weights = WeightsMode::kHeld, uint32_t workers = 1) {
  Fixture made;
  NetworkBuilder net;
  made.in = net.Input({1, 17, 12, 8});
  made.between = net.Conv(made.in, 16, 3);
  made.middle = net.Conv(made.between, 16, 3, 2);
  made.out = net.Conv(made.middle, 24, 3);
  net.Output(made.out);
  made.graph = net.Finish();
  CascadeOptions options;
  options.cuts = {2};
  options.weights = weights;
  options.workers = workers;
  options.outside = {made.in};
  options.block_rows = 2;
  options.batch = kBatch;
  options.turns = Turns::kTogether;
  made.plan = MakeCascadePlan(made.graph, options);
  return made;
}

TEST(ValidateConvoy, AcceptsWhatTheOracleFindsRight) {
  for (WeightsMode weights : {WeightsMode::kStreamed, WeightsMode::kHeld, WeightsMode::kPinned}) {
    for (uint32_t workers : {1U, 2U}) {
      Fixture made = MakeFixture(weights, workers);
      EXPECT_EQ(made.cascade().turns, Turns::kOneByOne);
      EXPECT_EQ(made.together().turns, Turns::kTogether);
      const Status status = Validate(made.graph, made.plan);
      EXPECT_TRUE(status.ok()) << status.error().message;
      EXPECT_EQ(Simulate(made.graph, made.plan), "");
    }
  }
}

struct Change {
  const char* name;
  std::function<void(Fixture&)> make;
};

TEST(ValidateConvoy, RejectsWhatIsOfOneInputOnly) {
  const std::vector<Change> changes = {
      {"one more input", [](Fixture& f) { ++f.plan.batch; }},
      {"no input", [](Fixture& f) { f.plan.batch = 0; }},
      {"too many inputs", [](Fixture& f) { f.plan.batch = graph::kMaxBatch + 1; }},
      {"turns that do not exist", [](Fixture& f) { f.cascade().turns = static_cast<Turns>(2); }},
      {"windows of all inputs", [](Fixture& f) { f.cascade().turns = Turns::kTogether; }},
      {"a counter less", [](Fixture& f) { f.home(f.in).counters.bytes -= 8; }},
      {"counters of one input", [](Fixture& f) { f.home(f.in).counters.bytes = 9 * 8; }},
      {"a tensor at the end of the pool",
       [](Fixture& f) {
         f.home(f.middle).place.offset = f.plan.pool_bytes - 9 * 6 * 16 * sizeof(float);
       }},
      {"a window over the last input",
       [](Fixture& f) {
         const uint64_t one = 9 * 6 * 16 * sizeof(float);
         f.cascade().windows[0].place.offset = f.home(f.middle).place.offset + (kBatch - 1) * one;
       }},
      {"several inputs by rows",
       [](Fixture& f) {
         f.together().form = Form::kBand;
         f.together().actions = {{ActionKind::kCompute, 0, 0, 4}, {ActionKind::kCompute, 0, 4, 9}};
       }},
  };
  for (const Change& change : changes) {
    Fixture made = MakeFixture();
    change.make(made);
    EXPECT_FALSE(Validate(made.graph, made.plan).ok()) << change.name;
  }
}

TEST(ValidateConvoy, LayersMayGoEitherWay) {
  Fixture made = MakeFixture();
  made.together().turns = Turns::kOneByOne;
  EXPECT_TRUE(Validate(made.graph, made.plan).ok());
  EXPECT_EQ(Simulate(made.graph, made.plan), "");
  made.plan.batch = kBatch - 1;  // a shorter convoy needs less
  EXPECT_TRUE(Validate(made.graph, made.plan).ok());
  EXPECT_EQ(Simulate(made.graph, made.plan), "");
}

/// A plan whose last step makes its output in bands over the operand that it reads for the last
/// time, `bytes` further on.
Plan Overlaid(const graph::Graph& graph, int64_t bytes) {
  CascadeOptions options;
  options.cuts = {1};
  options.batch = kBatch;
  Plan plan = MakeCascadePlan(graph, options);
  const graph::Node& last = graph.nodes[1];
  const uint64_t room = 1 << 20;  // between them and all else
  plan.pool_bytes += 3 * room;
  plan.budget_bytes = plan.pool_bytes;
  plan.tensors[Position(last.inputs[0])].place.offset = plan.pool_bytes - 2 * room;
  plan.tensors[Position(last.output)].place.offset =
      static_cast<uint64_t>(static_cast<int64_t>(plan.pool_bytes - 2 * room) + bytes);
  return plan;
}

/// Wherever the output lies, the validator finds what the oracle finds: what is made of one input
/// must spare what is still to be read of it and of those after it.
TEST(ValidateConvoy, OutputsOverAnOperandSpareTheNextInputs) {
  for (const uint32_t channels : {8U, 16U, 32U}) {
    NetworkBuilder net;
    net.Output(net.Conv(net.Conv(net.Input({1, 12, 4, 16}), 16, 3), channels, 3));
    const graph::Graph graph = net.Finish();
    const int64_t row = 4 * 16 * sizeof(float);
    uint32_t accepted = 0;
    uint32_t rejected = 0;
    for (int64_t rows = -90; rows <= 45; ++rows) {
      const Plan plan = Overlaid(graph, rows * row);
      const Status valid = Validate(graph, plan);
      ++(valid.ok() ? accepted : rejected);
      EXPECT_EQ(valid.ok(), Simulate(graph, plan).empty()) << channels << " " << rows;
    }
    EXPECT_GT(accepted, 10U) << channels;
    EXPECT_GT(rejected, 10U) << channels;
  }
}

}  // namespace
}  // namespace coracle::plan

// Room to decode coded weights in: the planner counts it, the validator asks for it.
#include <gtest/gtest.h>

#include <algorithm>

#include "plan/cost.h"
#include "plan/test_networks.h"
#include "plan/test_simulation.h"
#include "plan/validate.h"

namespace coracle::plan {
namespace {

/// Every other node's chunks coded, if they can be.
graph::Graph Coded(graph::Graph graph) {
  for (size_t i = 0; i < graph.nodes.size(); i += 2) {
    for (graph::ChunkDescriptor& chunk : graph.nodes[i].weights.chunks) {
      if (chunk.bytes > graph::kChunkAlignment) {
        chunk.coded_bytes = chunk.bytes - graph::kChunkAlignment;
      }
    }
  }
  return graph;
}

TEST(Decoding, EveryPlanHasARoomForEachWorker) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph plain = MakeRandomNetwork(seed);
    const graph::Graph graph = Coded(plain);
    const uint64_t room_bytes = DecodingBytes(graph);
    EXPECT_EQ(DecodingBytes(plain), 0U);
    const uint64_t least = FindLeastBudget(graph).bytes;
    EXPECT_LE(least, FindLeastBudget(plain).bytes * 11 / 10 + room_bytes);
    for (const uint64_t budget_bytes : {least, least + least / 4, 2 * least, kUnlimited}) {
      for (const uint32_t threads : {1U, 3U}) {
        const Result<Plan> plan = MakePlan(graph, {budget_bytes, threads, {}});
        ASSERT_TRUE(plan.ok()) << plan.error().message;
        EXPECT_LE(plan->pool_bytes, budget_bytes);
        EXPECT_EQ(plan->decoding.size(), room_bytes == 0 ? 0 : plan->threads);
        const Status status = Validate(graph, *plan);
        ASSERT_TRUE(status.ok()) << status.error().message;
        ASSERT_EQ(Simulate(graph, *plan), "");
      }
    }
    EXPECT_FALSE(MakePlan(graph, {least - 1, 1, {}}).ok());
  }
}

TEST(Decoding, RoomsThatAreNotThereOrNotAloneAreRefused) {
  const graph::Graph plain = MakeMobileNetV2();
  const graph::Graph graph = Coded(plain);
  const Plan good = MakePlan(graph, {kUnlimited, 1, {}, Pinning::kNone}).value();
  ASSERT_EQ(good.decoding.size(), 1U);
  const auto refused = [&graph, &good](auto change) {
    Plan plan = good;
    change(plan);
    return !Validate(graph, plan).ok();
  };
  EXPECT_FALSE(refused([](Plan&) {}));
  EXPECT_TRUE(refused([](Plan& p) { p.decoding.clear(); }));
  EXPECT_TRUE(refused([](Plan& p) { p.decoding.push_back(p.decoding[0]); }));
  EXPECT_TRUE(refused([](Plan& p) { p.decoding[0].bytes -= kPoolAlignment; }));
  EXPECT_TRUE(refused([](Plan& p) { p.decoding[0].offset += 4; }));
  EXPECT_TRUE(refused([](Plan& p) { p.decoding[0].offset = p.pool_bytes; }));
  const auto streams =
      std::ranges::find_if(good.steps, [](const Step& s) { return !s.slots.empty(); });
  ASSERT_NE(streams, good.steps.end());
  const auto step = static_cast<size_t>(streams - good.steps.begin());
  EXPECT_TRUE(refused([&](Plan& p) { p.steps[step].slots[0].offset = p.decoding[0].offset; }));
  EXPECT_FALSE(Validate(plain, good).ok());
}

TEST(Decoding, TakesItsTimeAndSavesTheDecryptionOfWhatIsNotThere) {
  graph::Graph coded = MakeVgg16();
  const MachineRates rates;
  for (graph::Node& node : coded.nodes) {
    const double before = OpenMs(node, rates);
    uint64_t bytes = 0;
    for (graph::ChunkDescriptor& chunk : node.weights.chunks) {
      chunk.coded_bytes = chunk.bytes / 128 * graph::kChunkAlignment;
      bytes += chunk.bytes;
    }
    if (bytes == 0) continue;
    const double saved = static_cast<double>(bytes - node.weights.SealedBytes()) *
                         (1 / rates.aead_gbps + 1 / rates.weight_gbps) * 1e-6;
    // Half of it gone: matches, 1.6 times as slow as literals.
    const double decoded = 1.6 * static_cast<double>(bytes) / rates.decode_gbps * 1e-6;
    EXPECT_NEAR(OpenMs(node, rates), before - saved + decoded, 1e-6 + decoded * 1e-9);
  }
}

}  // namespace
}  // namespace coracle::plan

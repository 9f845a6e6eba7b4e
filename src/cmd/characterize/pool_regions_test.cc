#include "cmd/characterize/pool_regions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "plan/test_networks.h"

namespace coracle::cmd {
namespace {

using T = plan::NetworkBuilder::T;

/// Two convolutions on the same rows whose results are one tensor, then a sum and a dense layer.
graph::Graph MakeNetwork() {
  plan::NetworkBuilder network;
  const T input = network.Input({1, 24, 24, 8});
  const T first = network.Conv(input, 32, 3);
  const T left = network.Conv(first, 16, 1);
  const T right = network.Conv(first, 16, 3);
  const T both = network.Concat({left, right}, 3);
  network.Output(network.Dense(network.GlobalPool(network.Add(both, first)), 40));
  return network.Finish();
}

plan::Plan MakePlanFor(const graph::Graph& graph, uint64_t budget_bytes) {
  plan::PlanRequest request;
  request.budget_bytes = budget_bytes;
  request.pinning = plan::Pinning::kNone;
  auto plan = plan::MakePlan(graph, request);
  EXPECT_TRUE(plan.ok());
  return *plan;
}

const std::byte* const kPool = reinterpret_cast<const std::byte*>(uint64_t{1} << 30);
uint64_t AddressOf(uint64_t offset) { return reinterpret_cast<uint64_t>(kPool) + offset; }

const TraceRegion* Find(std::span<const TraceRegion> regions, uint64_t address) {
  const auto found = std::ranges::find_if(regions, [&](const TraceRegion& region) {
    return region.begin <= address && address < region.begin + region.bytes;
  });
  return found == regions.end() ? nullptr : &*found;
}

void ExpectApart(std::span<const TraceRegion> regions, uint64_t pool_bytes) {
  uint64_t end = AddressOf(0);
  for (const TraceRegion& region : regions) {
    EXPECT_GE(region.begin, end);
    EXPECT_GT(region.bytes, 0U);
    EXPECT_NE(std::string(region.name), "");
    end = region.begin + region.bytes;
  }
  EXPECT_LE(end, AddressOf(pool_bytes));
}

void ExpectKind(std::span<const TraceRegion> regions, const plan::PoolRange& range,
                TraceRegionKind kind) {
  if (range.bytes == 0) return;
  for (const uint64_t offset : {range.offset, range.offset + range.bytes - 1}) {
    const TraceRegion* const region = Find(regions, AddressOf(offset));
    ASSERT_NE(region, nullptr);
    EXPECT_EQ(region->kind, kind);
  }
}

TEST(PoolRegionsTest, EveryRangeOfAStepIsOfItsKindAtEveryBudget) {
  const graph::Graph graph = MakeNetwork();
  const uint64_t least = plan::FindLeastBudget(graph).bytes;
  for (const uint64_t budget : {least, least + least / 2, plan::kUnlimited}) {
    const plan::Plan plan = MakePlanFor(graph, budget);
    const PoolRegions regions(graph, plan, kPool);
    ExpectApart(regions.BeforeSteps(), plan.pool_bytes);
    ExpectApart(regions.AfterSteps(), plan.pool_bytes);
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      const plan::Step& step = plan.steps[i];
      const std::span<const TraceRegion> now = regions.DuringStep(i);
      EXPECT_EQ(now.empty(), step.parts.front().elided);
      if (now.empty()) continue;
      ExpectApart(now, plan.pool_bytes);
      for (const auto& slot : step.slots) ExpectKind(now, slot, TraceRegionKind::kWeights);
      for (const auto& own : step.workspaces) ExpectKind(now, own, TraceRegionKind::kWorkspace);
      for (const plan::Part& part : step.parts) {
        ExpectKind(now, part.held, TraceRegionKind::kWeights);
        const plan::TensorPlan& home = plan.tensors[Position(graph.node(part.node).output)];
        if (home.home != plan::Home::kPool) continue;
        ExpectKind(now, {home.place.offset, 4}, TraceRegionKind::kActivations);
      }
    }
  }
}

TEST(PoolRegionsTest, TensorsThatShareMemoryAreOneRegion) {
  const graph::Graph graph = MakeNetwork();
  const plan::Plan plan = MakePlanFor(graph, plan::kUnlimited);
  const auto elided = std::ranges::find_if(
      plan.steps, [](const plan::Step& step) { return step.parts.front().elided; });
  ASSERT_NE(elided, plan.steps.end()) << "the concatenation should cost nothing";
  const graph::Node& concat = graph.node(elided->parts.front().node);
  const PoolRegions regions(graph, plan, kPool);
  const auto next = static_cast<size_t>(elided - plan.steps.begin()) + 1;
  const TraceRegion* const region =
      Find(regions.DuringStep(next), AddressOf(plan.tensors[Position(concat.output)].place.offset));
  ASSERT_NE(region, nullptr);
  EXPECT_EQ(region->name, graph.tensor(concat.output).name);
}

}  // namespace
}  // namespace coracle::cmd

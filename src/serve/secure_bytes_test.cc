#include "serve/secure_bytes.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <memory>
#include <utility>
#include <vector>

#include "api/posix_outside.h"
#include "plan/test_networks.h"
#include "runtime/sealed_graph_for_test.h"
#include "serve/plan_front.h"

namespace coracle::serve {
namespace {

/// Bytes that malloc has given out, its own headers included. Pools and stacks are not its.
uint64_t HeapBytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

bool HeapIsCounted() {
  const uint64_t before = HeapBytes();
  const auto block = std::make_unique<std::byte[]>(1 << 20);
  return block != nullptr && HeapBytes() >= before + (1 << 20);
}

class SecureBytesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HeapIsCounted()) GTEST_SKIP() << "mallinfo2 does not see this heap (a sanitizer's)";
  }
};

/// The estimate covers what was taken, and not three times that and a little.
void ExpectBound(uint64_t estimate, uint64_t taken, const char* what) {
  EXPECT_GE(estimate, taken) << what;
  EXPECT_LE(estimate, 3 * taken + 40'000) << what;
}

TEST_F(SecureBytesTest, GraphsAndPlans) {
  for (const auto& make : {plan::MakeResNet50, plan::MakeMobileNetV2, plan::MakeDenseNet121}) {
    const graph::Graph graph = make();
    const uint64_t before_graph = HeapBytes();
    const auto copy = std::make_unique<graph::Graph>(graph);
    ExpectBound(GraphBytes(graph), HeapBytes() - before_graph - sizeof(graph::Graph), "graph");
    const auto plan = plan::MakePlan(graph, {});
    ASSERT_TRUE(plan.ok());
    const uint64_t before_plan = HeapBytes();
    const auto kept = std::make_unique<plan::Plan>(*plan);
    ExpectBound(PlanBytes(*plan), HeapBytes() - before_plan, "plan");
  }
}

TEST_F(SecureBytesTest, Sessions) {
  const runtime::SealedGraph sealed =
      runtime::SealInMemory(runtime::MakeTestGraph(21, 1), host::BlobAccess::kView);
  const graph::Graph& graph = sealed.model->manifest().graph;
  FrontSettings settings;
  settings.budget_bytes = plan::kUnlimited;
  settings.threads_max = 3;
  settings.batch_max = 8;
  const auto front = PlanFront(graph, 0, settings);
  ASSERT_TRUE(front.ok()) << front.error().message;
  PosixOutside outside;
  for (const PlannedChoice& planned : *front) {
    const plan::Plan& plan = planned.plan;
    SCOPED_TRACE(plan.pool_bytes);
    const uint64_t before = HeapBytes();
    auto session = outside.Start(*sealed.model, plan);
    ASSERT_TRUE(session.ok()) << session.error().message;
    const uint64_t taken = HeapBytes() - before;
    const uint64_t pool = (plan.pool_bytes + 4095) / 4096 * 4096;
    const uint64_t stacks = (plan.threads - 1) * uint64_t{256 * 1024};
    ExpectBound(RunnerBytes(graph, plan) - pool - stacks, taken, "session");
  }
}

TEST_F(SecureBytesTest, OpenModels) {
  const runtime::SealedGraph sealed =
      runtime::SealInMemory(runtime::MakeTestGraph(21, 2), host::BlobAccess::kView);
  const uint64_t before = HeapBytes();
  const auto again = seal::SealedModel::Open(*sealed.blob, {}, crypto::PreferredAeadBackend());
  ASSERT_TRUE(again.ok()) << again.error().message;
  ExpectBound(ManifestBytes((*again)->manifest()), HeapBytes() - before, "manifest");
}

}  // namespace
}  // namespace coracle::serve

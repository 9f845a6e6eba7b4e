#include "runtime/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "host/fake/blob.h"
#include "host/posix/clock.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "host/posix/threads.h"
#include "runtime/run_observer.h"
#include "runtime/sealed_graph_for_test.h"

namespace coracle::runtime {
namespace {

constexpr uint32_t kSize = 21;

struct Outcome {
  std::vector<float> output;
  RunStats stats;
  uint64_t planned_bytes = 0;
  std::string error;
};

Outcome Failed(const std::string& message) {
  Outcome outcome;
  outcome.error = message;
  return outcome;
}

class SessionTest : public testing::Test {
 protected:
  Outcome Predict(const seal::SealedModel& model, uint64_t budget, uint32_t threads,
                  const kernels::KernelSet& kernels, int runs = 1) {
    Outcome outcome;
    plan::PlanRequest request;
    request.budget_bytes = budget;
    request.threads = threads;
    auto plan = plan::MakePlan(model.manifest().graph, request);
    if (!plan.ok()) return Failed(plan.error().message);
    outcome.planned_bytes = plan->pool_bytes;
    auto session = Session::Create(model, *plan, kernels, Things());
    if (!session.ok()) return Failed(session.error().message);
    for (int i = 0; i < runs; ++i) {
      (*session)->WriteInput(0, 0, TestInput(3 * kSize * kSize));
      const Status done = (*session)->Run();
      if (!done.ok()) return Failed(done.error().message);
      std::vector<float> output(100);
      EXPECT_TRUE((*session)->ReadOutput(0, 0, output).ok());
      if (i > 0) {
        EXPECT_EQ(std::memcmp(output.data(), outcome.output.data(), 400), 0);
      }
      outcome.output = output;
    }
    outcome.stats = (*session)->stats();
    return outcome;
  }

  Outside Things() { return {&memory_, &threads_, &clock_, seal_.get(), &outside_memory_}; }

  host::PosixMemory memory_;
  host::PosixThreads threads_;
  host::PosixClock clock_;
  host::PosixOutsideMemory outside_memory_;
  host::PosixEntropy entropy_;
  std::unique_ptr<ProcessSeal> seal_ =
      ProcessSeal::Create(entropy_, memory_, crypto::PreferredAeadBackend()).value();
};

TEST_F(SessionTest, SameBytesAtEveryBudgetAndThreadCount) {
  const SealedGraph sealed = SealInMemory(MakeTestGraph(kSize, 1), host::BlobAccess::kView);
  const graph::Graph& graph = sealed.model->manifest().graph;
  const Outcome unlimited = Predict(*sealed.model, plan::kUnlimited, 1, kernels::SimdKernels());
  ASSERT_EQ(unlimited.error, "");
  EXPECT_NEAR(std::accumulate(unlimited.output.begin(), unlimited.output.end(), 0.0), 1.0, 1e-5);
  const uint64_t least = plan::FindLeastBudget(graph).bytes;
  for (int i = 0; i <= 8; ++i) {
    const uint64_t budget =
        least + (unlimited.planned_bytes - least) * static_cast<uint64_t>(i) / 8;
    for (const uint32_t threads : {1U, 2U, 3U}) {
      const Outcome outcome = Predict(*sealed.model, budget, threads, kernels::SimdKernels(), 2);
      ASSERT_EQ(outcome.error, "");
      EXPECT_EQ(std::memcmp(outcome.output.data(), unlimited.output.data(), 400), 0)
          << budget << " " << threads;
      EXPECT_LE(outcome.stats.pool_peak_bytes, budget);
      EXPECT_EQ(outcome.stats.pool_peak_bytes, outcome.planned_bytes);
    }
  }
  EXPECT_NE(Predict(*sealed.model, least - 1, 1, kernels::SimdKernels()).error, "");
}

TEST_F(SessionTest, AgreesWithTheReferenceKernels) {
  const SealedGraph sealed = SealInMemory(MakeTestGraph(kSize, 2), host::BlobAccess::kView);
  const Outcome truth = Predict(*sealed.model, plan::kUnlimited, 1, kernels::ReferenceKernels());
  ASSERT_EQ(truth.error, "");
  for (const kernels::KernelSet* set : kernels::AllSimdKernels()) {
    const Outcome outcome = Predict(*sealed.model, plan::kUnlimited, 1, *set);
    ASSERT_EQ(outcome.error, "");
    for (size_t i = 0; i < 100; ++i)
      EXPECT_NEAR(outcome.output[i], truth.output[i], 1e-6) << set->name;
  }
}

TEST_F(SessionTest, ReadModeGivesTheSameAndCountsItsCalls) {
  const graph::Graph graph = MakeTestGraph(kSize, 3);
  const SealedGraph view = SealInMemory(graph, host::BlobAccess::kView);
  const SealedGraph read = SealInMemory(graph, host::BlobAccess::kRead);
  const Outcome viewed = Predict(*view.model, plan::kUnlimited, 1, kernels::SimdKernels());
  const Outcome read_out = Predict(*read.model, plan::kUnlimited, 1, kernels::SimdKernels());
  ASSERT_EQ(viewed.error + read_out.error, "");
  EXPECT_EQ(viewed.output, read_out.output);
  EXPECT_EQ(viewed.stats.host_calls, 0U);
  EXPECT_EQ(read_out.stats.host_calls, view.model->manifest().chunks.size());
  EXPECT_GT(read_out.stats.decrypted_bytes, 1'800'000U);
}

TEST_F(SessionTest, AnyTamperedChunkMeansNoOutput) {
  const SealedGraph sealed = SealInMemory(MakeTestGraph(kSize, 4), host::BlobAccess::kView);
  const crypto::Key256 key;
  for (size_t chunk = 0; chunk < sealed.model->manifest().chunks.size(); ++chunk) {
    std::vector<std::byte> file = sealed.file;
    file[sealed.model->manifest().chunks[chunk].offset + 5] ^= std::byte{1};
    const host::FakeBlob blob(file, host::BlobAccess::kView);
    auto model = seal::SealedModel::Open(blob, key, crypto::PreferredAeadBackend());
    ASSERT_TRUE(model.ok());
    for (const uint32_t threads : {1U, 2U}) {
      EXPECT_NE(Predict(**model, plan::kUnlimited, threads, kernels::SimdKernels()).error, "")
          << chunk;
    }
  }
}

/// What it was told, and whether each action was of the step that was announced.
class NotingObserver final : public RunObserver {
 public:
  explicit NotingObserver(const plan::Plan& plan) : plan_(plan) {}
  void PoolReserved(std::span<const std::byte> pool) override { pool_bytes = pool.size(); }
  void StepComes(size_t step) override {
    EXPECT_EQ(step, steps++ % plan_.steps.size());
    actions_due_ = plan_.steps[step].actions;
    actions_ = 0;
  }
  void ChunkComes(const graph::ChunkDescriptor& chunk) override { held_bytes += chunk.bytes; }
  void ActionComes(const plan::Step& step, plan::ActionKind kind, uint32_t index) override {
    EXPECT_EQ(step.actions, actions_due_);
    ASSERT_LT(actions_, actions_due_.size());
    EXPECT_EQ(kind, actions_due_[actions_].kind);
    EXPECT_EQ(index, actions_due_[actions_].index);
    ++actions_;
    ++actions;
  }

  uint64_t pool_bytes = 0;
  size_t steps = 0;
  size_t actions = 0;
  uint64_t held_bytes = 0;

 private:
  const plan::Plan& plan_;
  std::vector<plan::Action> actions_due_;
  size_t actions_ = 0;
};

TEST_F(SessionTest, AnObserverIsToldOfEveryStepChunkAndAction) {
  const SealedGraph sealed = SealInMemory(MakeTestGraph(kSize, 6), host::BlobAccess::kView);
  const graph::Graph& graph = sealed.model->manifest().graph;
  for (const uint64_t budget : {plan::FindLeastBudget(graph).bytes, plan::kUnlimited}) {
    plan::PlanRequest request;
    request.budget_bytes = budget;
    auto plan = plan::MakePlan(graph, request);
    ASSERT_TRUE(plan.ok());
    size_t actions = 0;
    uint64_t held_bytes = 0;
    for (const plan::Step& step : plan->steps) {
      actions += step.actions.size();
      for (const plan::Part& part : step.parts) {
        if (part.held.bytes != 0) held_bytes += graph.node(part.node).weights.TotalBytes();
      }
    }
    NotingObserver observer(*plan);
    Outside outside = Things();
    outside.observer = &observer;
    auto session = Session::Create(*sealed.model, *plan, kernels::SimdKernels(), outside);
    ASSERT_TRUE(session.ok());
    EXPECT_EQ(observer.pool_bytes, plan->pool_bytes);
    (*session)->WriteInput(0, 0, TestInput(3 * kSize * kSize));
    ASSERT_TRUE((*session)->Run().ok());
    EXPECT_EQ(observer.steps, plan->steps.size());
    EXPECT_EQ(observer.actions, actions);
    EXPECT_EQ(observer.held_bytes, held_bytes);
  }
}

TEST_F(SessionTest, AnInvalidPlanIsRefused) {
  const SealedGraph sealed = SealInMemory(MakeTestGraph(kSize, 5), host::BlobAccess::kView);
  auto plan = plan::MakePlan(sealed.model->manifest().graph, {});
  ASSERT_TRUE(plan.ok());
  plan->steps.pop_back();
  EXPECT_FALSE(Session::Create(*sealed.model, *plan, kernels::SimdKernels(), Things()).ok());
}

}  // namespace
}  // namespace coracle::runtime

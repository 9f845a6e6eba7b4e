// Coded weights give the same bytes as plain ones: streamed, held and pinned, read and viewed.
#include <gtest/gtest.h>

#include <cstring>

#include "host/fake/blob.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "host/posix/threads.h"
#include "runtime/sealed_graph_for_test.h"
#include "runtime/session.h"

namespace coracle::runtime {
namespace {

constexpr uint32_t kSize = 21;

struct Outcome {
  std::vector<float> output;
  RunStats stats;  ///< of the last run
  Code error = Code::kInternal;
};

class CodedWeightsTest : public testing::Test {
 protected:
  Outcome Predict(const seal::SealedModel& model, const plan::Plan& plan, int runs = 1) {
    Outcome outcome;
    auto session = Session::Create(model, plan, kernels::SimdKernels(),
                                   {&memory_, &threads_, nullptr, seal_.get(), &outside_memory_});
    if (!session.ok()) return {{}, {}, session.error().code};
    for (int run = 0; run < runs; ++run) {
      (*session)->WriteInput(0, 0, TestInput(3 * kSize * kSize));
      const Status done = (*session)->Run();
      if (!done.ok()) return {{}, {}, done.error().code};
    }
    outcome.output.resize(100);
    EXPECT_TRUE((*session)->ReadOutput(0, 0, outcome.output).ok());
    outcome.stats = (*session)->stats();
    return outcome;
  }

  static plan::Plan PlanOf(const SealedGraph& sealed, uint64_t budget_bytes, uint32_t threads,
                           plan::Pinning pinning = plan::Pinning::kNone) {
    plan::PlanRequest request;
    request.budget_bytes = budget_bytes;
    request.threads = threads;
    request.pinning = pinning;
    return plan::MakePlan(sealed.model->manifest().graph, request).value();
  }

  host::PosixMemory memory_;
  host::PosixThreads threads_;
  host::PosixOutsideMemory outside_memory_;
  host::PosixEntropy entropy_;
  std::unique_ptr<ProcessSeal> seal_ =
      ProcessSeal::Create(entropy_, memory_, crypto::PreferredAeadBackend()).value();
};

TEST_F(CodedWeightsTest, SameBytesAsPlainOnesAtEveryBudget) {
  const graph::Graph graph = MakeTestGraph(kSize, 1);
  const SealedGraph plain = SealInMemory(graph, host::BlobAccess::kView);
  const Outcome truth = Predict(*plain.model, PlanOf(plain, plan::kUnlimited, 1));
  ASSERT_EQ(truth.output.size(), 100U);
  for (const host::BlobAccess access : {host::BlobAccess::kView, host::BlobAccess::kRead}) {
    const SealedGraph coded = SealInMemory(graph, access, Coding::kCoded);
    ASSERT_LT(static_cast<double>(coded.file.size()),
              0.95 * static_cast<double>(plain.file.size()));
    const graph::Graph& network = coded.model->manifest().graph;
    const uint64_t least = plan::FindLeastBudget(network).bytes;
    EXPECT_GT(least, plan::FindLeastBudget(plain.model->manifest().graph).bytes);
    for (const uint64_t budget : {least, least * 5 / 4, least * 2, plan::kUnlimited}) {
      for (const uint32_t threads : {1U, 2U, 3U}) {
        const plan::Plan plan = PlanOf(coded, budget, threads);
        EXPECT_EQ(plan.decoding.size(), plan.threads);
        const Outcome outcome = Predict(*coded.model, plan, 2);
        ASSERT_EQ(outcome.output.size(), 100U) << CodeName(outcome.error);
        EXPECT_EQ(std::memcmp(outcome.output.data(), truth.output.data(), 400), 0);
        EXPECT_LE(outcome.stats.pool_peak_bytes, budget);
        EXPECT_EQ(outcome.stats.pool_peak_bytes, plan.pool_bytes);
      }
    }
    // Opened once, each byte as it is sealed.
    EXPECT_EQ(Predict(*coded.model, PlanOf(coded, plan::kUnlimited, 1)).stats.decrypted_bytes,
              [&network] {
                uint64_t bytes = 0;
                for (const graph::Node& node : network.nodes) bytes += node.weights.SealedBytes();
                return bytes;
              }());
  }
}

TEST_F(CodedWeightsTest, PinnedOnesAreDecodedOnce) {
  const graph::Graph graph = MakeTestGraph(kSize, 2);
  const SealedGraph plain = SealInMemory(graph, host::BlobAccess::kView);
  const SealedGraph coded = SealInMemory(graph, host::BlobAccess::kView, Coding::kCoded);
  const Outcome truth = Predict(*plain.model, PlanOf(plain, plan::kUnlimited, 1));
  for (const uint32_t threads : {1U, 2U}) {
    const plan::Plan plan = PlanOf(coded, plan::kUnlimited, threads, plan::Pinning::kAuto);
    EXPECT_GT(plan.pinned_bytes, 0U);
    const Outcome outcome = Predict(*coded.model, plan, 2);
    EXPECT_EQ(outcome.output, truth.output);
    EXPECT_EQ(outcome.stats.decrypted_bytes, 0U);
  }
}

TEST_F(CodedWeightsTest, AnyTamperedChunkMeansNoOutput) {
  const SealedGraph sealed =
      SealInMemory(MakeTestGraph(kSize, 4), host::BlobAccess::kView, Coding::kCoded);
  const crypto::Key256 key;
  const plan::Plan plan = PlanOf(sealed, plan::kUnlimited, 2);
  for (const seal::ChunkRecord& chunk : sealed.model->manifest().chunks) {
    std::vector<std::byte> file = sealed.file;
    file[chunk.offset + 5] ^= std::byte{1};
    const host::FakeBlob blob(file, host::BlobAccess::kView);
    const auto model = seal::SealedModel::Open(blob, key, crypto::PreferredAeadBackend()).value();
    EXPECT_EQ(Predict(*model, plan).error, Code::kTampered);
  }
}

TEST_F(CodedWeightsTest, APlanWithoutRoomToDecodeInIsRefused) {
  const SealedGraph coded =
      SealInMemory(MakeTestGraph(kSize, 5), host::BlobAccess::kView, Coding::kCoded);
  plan::Plan plan = PlanOf(coded, plan::kUnlimited, 1);
  plan.decoding.clear();
  EXPECT_EQ(Predict(*coded.model, plan).error, Code::kMalformed);
}

}  // namespace
}  // namespace coracle::runtime

// Plans of every shape that the format allows, executed: rings, rows outside, held, streamed and
// pinned weights give the bytes of the layer-by-layer run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "host/fake/blob.h"
#include "host/fake/clock.h"
#include "host/fake/entropy.h"
#include "host/fake/memory.h"
#include "host/posix/memory.h"
#include "host/posix/threads.h"
#include "plan/test_cascades.h"
#include "plan/test_networks.h"
#include "runtime/sealed_graph_for_test.h"
#include "runtime/session.h"

namespace coracle::runtime {
namespace {

using plan::CascadeOptions;
using plan::Split;
using plan::WeightsMode;

/// Secure memory whose every float is a NaN until it is written.
class PoisonedMemory final : public host::Memory {
 public:
  Result<std::unique_ptr<host::MemoryRegion>> Reserve(uint64_t bytes) override {
    auto region = memory_.Reserve(bytes);
    if (region.ok()) std::ranges::fill((*region)->bytes(), std::byte{0xFF});
    return region;
  }
  Result<std::unique_ptr<host::MemoryRegion>> ReserveForProcess(uint64_t bytes) override {
    return memory_.ReserveForProcess(bytes);
  }

 private:
  host::FakeMemory memory_;
};

/// A model with all that a session of it needs.
class Bench {
 public:
  explicit Bench(graph::Graph graph)
      : sealed_(SealInMemory(WithChannelsFirst(std::move(graph)), host::BlobAccess::kView)) {
    host::InsecureDeterministicEntropy entropy(3);
    auto seal = ProcessSeal::Create(entropy, memory_, crypto::PreferredAeadBackend());
    CORACLE_CHECK(seal.ok());
    seal_ = std::move(seal).value();
  }

  const graph::Graph& graph() const { return sealed_.model->manifest().graph; }
  const SealedGraph& sealed() const { return sealed_; }
  host::FakeOutsideMemory& outside() { return outside_; }

  std::unique_ptr<Session> Start(const plan::Plan& plan) { return Start(*sealed_.model, plan); }
  std::unique_ptr<Session> Start(const seal::SealedModel& model, const plan::Plan& plan) {
    auto session = Session::Create(model, plan, kernels::SimdKernels(),
                                   {&memory_, &threads_, &clock_, seal_.get(), &outside_});
    EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
    return session.ok() ? std::move(session).value() : nullptr;
  }

  /// In pieces that end anywhere, so that blocks are touched again and again.
  void Feed(Session& session) const {
    for (uint32_t input = 0; input < graph().inputs.size(); ++input) {
      const std::vector<float> values = TestInput(graph().inputs[input].shape.Elements());
      for (size_t first = 0; first < values.size(); first += 577) {
        const size_t count = std::min<size_t>(577, values.size() - first);
        session.WriteInput(input, first, std::span(values).subspan(first, count));
      }
    }
  }

  /// All outputs, one behind the other.
  std::vector<float> Answer(const Session& session) const {
    std::vector<float> all;
    for (uint32_t output = 0; output < graph().outputs.size(); ++output) {
      std::vector<float> values(graph().outputs[output].shape.Elements());
      const size_t half = values.size() / 3;
      EXPECT_TRUE(session.ReadOutput(output, 0, std::span(values).first(half)).ok());
      EXPECT_TRUE(session.ReadOutput(output, half, std::span(values).subspan(half)).ok());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  std::vector<float> Predict(const plan::Plan& plan) {
    const auto session = Start(plan);
    if (session == nullptr) return {};
    Feed(*session);
    const Status done = session->Run();
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
    return done.ok() ? Answer(*session) : std::vector<float>();
  }

  /// Layer by layer, everything in the pool.
  std::vector<float> Truth() {
    const auto plan = plan::MakePlan(graph(), {});
    EXPECT_TRUE(plan.ok());
    const std::vector<float> truth = Predict(*plan);
    EXPECT_TRUE(std::ranges::all_of(truth, [](float value) { return std::isfinite(value); }));
    return truth;
  }

 private:
  /// Rank-4 ports as the users of image networks see them.
  static graph::Graph WithChannelsFirst(graph::Graph graph) {
    for (auto* ports : {&graph.inputs, &graph.outputs}) {
      for (graph::Port& port : *ports) {
        const Shape rows = graph.shape(port.tensor);
        if (rows.rank() != 4) continue;
        port.shape = Shape{rows[0], rows[3], rows[1], rows[2]};
        port.perm = {0, 2, 3, 1};
      }
    }
    return graph;
  }

  SealedGraph sealed_;
  PoisonedMemory memory_;
  host::FakeOutsideMemory outside_;
  host::PosixThreads threads_;
  host::FakeClock clock_{0, 1};
  std::unique_ptr<ProcessSeal> seal_;
};

bool SameBytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && !a.empty() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<graph::TensorIndex> TensorsThatCanLieOutside(const graph::Graph& graph) {
  std::vector<graph::TensorIndex> tensors;
  for (uint32_t i = 0; i < graph.tensors.size(); ++i) {
    const auto tensor = static_cast<graph::TensorIndex>(i);
    if (plan::CanLieOutside(graph, tensor)) tensors.push_back(tensor);
  }
  return tensors;
}

/// Runs the plan made with `options` and compares.
void Check(Bench& bench, const CascadeOptions& options, const std::vector<float>& truth,
           const std::string& name) {
  const plan::Plan plan = plan::MakeCascadePlan(bench.graph(), options);
  EXPECT_TRUE(SameBytes(bench.Predict(plan), truth)) << name;
}

std::string NameOf(const CascadeOptions& options) {
  return std::string(plan::WeightsModeName(options.weights)) + ", workers " +
         std::to_string(options.workers) + ", rows " + std::to_string(options.rows_per_action) +
         ", split " + std::to_string(static_cast<int>(options.split)) + ", blocks of " +
         std::to_string(options.block_rows) + ", outside " + std::to_string(options.outside.size());
}

void CheckEveryManner(Bench& bench, const std::vector<uint32_t>& cuts) {
  const std::vector<float> truth = bench.Truth();
  CascadeOptions options;
  options.cuts = cuts;
  for (const uint32_t workers : {1U, 2U, 3U}) {
    for (const WeightsMode weights :
         {WeightsMode::kHeld, WeightsMode::kStreamed, WeightsMode::kPinned}) {
      for (const uint32_t rows : {1U, 4U}) {
        options.workers = workers;
        options.weights = weights;
        options.rows_per_action = rows;
        options.split = rows == 4 ? Split::kPanels : Split::kRows;
        options.outside.clear();
        Check(bench, options, truth, NameOf(options));
        options.outside = TensorsThatCanLieOutside(bench.graph());
        options.block_rows = rows == 4 ? 3 : 1;
        Check(bench, options, truth, NameOf(options));
      }
    }
  }
}

TEST(CascadeTest, TheWholeNetworkInOneStep) {
  Bench bench(MakeTestGraph(21, 1));
  CheckEveryManner(bench, {});
}

TEST(CascadeTest, SeveralStepsWithSpilledTensorsBetweenThem) {
  Bench bench(MakeTestGraph(14, 2));
  CheckEveryManner(bench, {2, 4, 6});
}

TEST(CascadeTest, SkipConnectionsAndConcatenations) {
  Bench bench(plan::MakeUNet(16));
  const std::vector<float> truth = bench.Truth();
  for (const uint32_t workers : {1U, 2U}) {
    CascadeOptions options;
    options.workers = workers;
    options.rows_per_action = 2;
    Check(bench, options, truth, NameOf(options));
    options.outside = TensorsThatCanLieOutside(bench.graph());
    options.block_rows = 2;
    options.cuts = {3, 9, 14};
    Check(bench, options, truth, NameOf(options));
  }
}

TEST(CascadeTest, RandomNetworks) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    Bench bench(plan::MakeRandomNetwork(seed));
    const std::vector<float> truth = bench.Truth();
    CascadeOptions options;
    options.workers = 1 + seed % 3;
    options.rows_per_action = 1 + seed % 5;
    options.cuts = {3, 4, 8};
    options.weights = seed % 2 == 0 ? WeightsMode::kStreamed : WeightsMode::kHeld;
    Check(bench, options, truth, "seed " + std::to_string(seed) + ", " + NameOf(options));
    options.outside = TensorsThatCanLieOutside(bench.graph());
    options.block_rows = 1 + seed % 4;
    Check(bench, options, truth, "seed " + std::to_string(seed) + ", " + NameOf(options));
  }
}

/// Input, output and one tensor in the middle of MakeTestGraph outside.
CascadeOptions WithTensorsOutside(const graph::Graph& graph) {
  CascadeOptions options;
  options.cuts = {3, 5};
  options.block_rows = 2;
  options.outside = {graph.inputs[0].tensor, graph.nodes[2].output, graph.outputs[0].tensor};
  return options;
}

TEST(CascadeTest, CountsWhatIsSealedAndOpened) {
  Bench bench(MakeTestGraph(20, 3));
  const graph::Graph& graph = bench.graph();
  const plan::Plan plan = plan::MakeCascadePlan(graph, WithTensorsOutside(graph));
  const auto session = bench.Start(plan);
  ASSERT_NE(session, nullptr);
  for (int run = 0; run < 2; ++run) {
    bench.Feed(*session);
    ASSERT_TRUE(session->Run().ok());
    EXPECT_EQ(session->stats().transferred_bytes, (20U * 20 * 3 + 100) * 4);
    EXPECT_EQ(session->stats().spilled_bytes, 2U * 20 * 20 * 24 * 4);
    EXPECT_LE(session->stats().pool_peak_bytes, plan.pool_bytes);
    EXPECT_GT(session->stats().pool_peak_bytes + plan::kPoolAlignment, plan.pool_bytes);
  }
  ASSERT_EQ(session->step_ns().size(), 3U);
  EXPECT_EQ(std::count(session->step_ns().begin(), session->step_ns().end(), 0U), 0);
}

TEST(CascadeTest, PinnedWeightsAreOpenedOnce) {
  Bench bench(MakeTestGraph(12, 4));
  CascadeOptions options;
  options.weights = WeightsMode::kPinned;
  const auto session = bench.Start(plan::MakeCascadePlan(bench.graph(), options));
  ASSERT_NE(session, nullptr);
  bench.Feed(*session);
  ASSERT_TRUE(session->Run().ok());
  EXPECT_GT(session->stats().decrypted_bytes, 1'800'000U);
  const std::vector<float> first = bench.Answer(*session);
  bench.Feed(*session);
  ASSERT_TRUE(session->Run().ok());
  EXPECT_EQ(session->stats().decrypted_bytes, 0U);
  EXPECT_TRUE(SameBytes(bench.Answer(*session), first));
}

TEST(CascadeTest, AnyTamperedChunkMeansNoOutput) {
  Bench bench(MakeTestGraph(12, 5));
  const auto& chunks = bench.sealed().model->manifest().chunks;
  for (size_t chunk = 0; chunk < chunks.size(); ++chunk) {
    std::vector<std::byte> file = bench.sealed().file;
    file[chunks[chunk].offset + 5] ^= std::byte{1};
    const host::FakeBlob blob(file, host::BlobAccess::kView);
    auto model = seal::SealedModel::Open(blob, crypto::Key256(), crypto::PreferredAeadBackend());
    ASSERT_TRUE(model.ok());
    CascadeOptions options;
    options.workers = 1 + static_cast<uint32_t>(chunk % 3);
    for (const WeightsMode weights :
         {WeightsMode::kHeld, WeightsMode::kStreamed, WeightsMode::kPinned}) {
      options.weights = weights;
      const auto session = bench.Start(**model, plan::MakeCascadePlan(bench.graph(), options));
      ASSERT_NE(session, nullptr);
      for (int run = 0; run < 2; ++run) {  // a pinned weight does not count as opened either
        bench.Feed(*session);
        const Status done = session->Run();
        ASSERT_FALSE(done.ok()) << chunk << " " << plan::WeightsModeName(weights);
        EXPECT_EQ(done.error().code, Code::kTampered);
      }
    }
  }
}

TEST(CascadeTest, ATamperedRowOfTheInputIsRefused) {
  Bench bench(MakeTestGraph(12, 6));
  const plan::Plan plan = plan::MakeCascadePlan(bench.graph(), WithTensorsOutside(bench.graph()));
  const auto session = bench.Start(plan);
  ASSERT_NE(session, nullptr);
  const size_t region = bench.outside().region_count() - 1;
  bench.Feed(*session);
  bench.outside().Flip(region, 8 * 40);  // the first tensor outside is the input
  const Status done = session->Run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::kTampered);
  bench.Feed(*session);  // the session lives on
  EXPECT_TRUE(session->Run().ok());
}

TEST(CascadeTest, AReplayedInputIsRefusedWhileItIsWritten) {
  Bench bench(MakeTestGraph(12, 6));
  const plan::Plan plan = plan::MakeCascadePlan(bench.graph(), WithTensorsOutside(bench.graph()));
  const auto session = bench.Start(plan);
  ASSERT_NE(session, nullptr);
  const size_t region = bench.outside().region_count() - 1;
  bench.Feed(*session);
  const std::vector<std::byte> old = bench.outside().Snapshot(region);
  ASSERT_TRUE(session->Run().ok());
  const std::vector<float> plane(12 * 12, 0.5F);
  session->WriteInput(0, 0, plane);
  bench.outside().Replay(region, 0, old);
  session->WriteInput(0, plane.size(), plane);  // returns to blocks that were sealed just now
  const Status done = session->Run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::kTampered);
}

TEST(CascadeTest, AnInputThatIsNotWrittenIsRefused) {
  Bench bench(MakeTestGraph(12, 6));
  const plan::Plan plan = plan::MakeCascadePlan(bench.graph(), WithTensorsOutside(bench.graph()));
  const auto session = bench.Start(plan);
  ASSERT_NE(session, nullptr);
  session->WriteInput(0, 0, std::vector<float>(12, 1.0F));
  const Status done = session->Run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::kTampered);
}

TEST(CascadeTest, ATamperedOutputRowIsRefused) {
  Bench bench(MakeTestGraph(12, 7));
  const plan::Plan plan = plan::MakeCascadePlan(bench.graph(), WithTensorsOutside(bench.graph()));
  const auto session = bench.Start(plan);
  ASSERT_NE(session, nullptr);
  const size_t region = bench.outside().region_count() - 1;
  bench.Feed(*session);
  ASSERT_TRUE(session->Run().ok());
  std::vector<float> values(100, 1.0F);
  // The output is the last tensor outside: 400 bytes and a tag in a multiple of 64.
  bench.outside().Flip(region, 8 * (bench.outside().bytes(region).size() - 400));
  const Status read = session->ReadOutput(0, 0, values);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::kTampered);
}

}  // namespace
}  // namespace coracle::runtime

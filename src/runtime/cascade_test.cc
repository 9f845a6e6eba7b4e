// Plans of every shape that the format allows, executed: rings, rows outside, held, streamed and
// pinned weights give the bytes of the layer-by-layer run.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "host/fake/blob.h"
#include "plan/test_cascades.h"
#include "plan/test_networks.h"
#include "runtime/bench_for_test.h"
#include "runtime/sealed_graph_for_test.h"
#include "runtime/session.h"

namespace coracle::runtime {
namespace {

using plan::CascadeOptions;
using plan::Split;
using plan::WeightsMode;

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

void CheckEveryManner(Bench& bench, const std::vector<uint32_t>& cuts, uint32_t batch = 1,
                      plan::Turns turns = plan::Turns::kOneByOne) {
  const std::vector<float> truth = bench.Truth(batch);
  CascadeOptions options;
  options.cuts = cuts;
  options.batch = batch;
  options.turns = turns;
  for (uint32_t workers = 1; workers <= (batch == 1 ? 3U : 2U); ++workers) {
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

TEST(CascadeTest, ConvoysGiveTheBytesOfTheirInputs) {
  Bench bench(MakeTestGraph(14, 7));
  CheckEveryManner(bench, {2, 4, 6}, 3);
  std::vector<uint32_t> every_layer(bench.graph().nodes.size() - 1);
  std::iota(every_layer.begin(), every_layer.end(), 1U);
  CheckEveryManner(bench, every_layer, 2, plan::Turns::kTogether);
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
    options.batch = 2 + seed % 2;
    options.turns = static_cast<plan::Turns>(seed % 2);
    Check(bench, options, bench.Truth(options.batch), "a convoy of seed " + std::to_string(seed));
  }
}

/// Convolutions by tiles of 2 and 4 rows, over heights that neither divides.
graph::Graph MakeWinogradNetwork() {
  plan::NetworkBuilder net;
  auto x = net.Conv(net.Input({1, 23, 14, 3}), 32, 3);
  const auto wide = net.Winograd(x, 80, graph::ConvAlgorithm::kWinograd4);
  x = net.Winograd(wide, 32, graph::ConvAlgorithm::kWinograd2, x);
  x = net.Pool(net.Winograd(x, 32, graph::ConvAlgorithm::kWinograd4, x), 2, 2);
  graph::Conv unpadded{{.kernel_h = 3, .kernel_w = 3}, 1, 48, graph::ConvAlgorithm::kWinograd4};
  net.Output(net.Winograd(net.ConvOf(x, unpadded), 20, graph::ConvAlgorithm::kWinograd2));
  return net.Finish();
}

TEST(CascadeTest, WinogradsTilesWholeOrCut) {
  Bench bench(MakeWinogradNetwork());
  const std::vector<float> truth = bench.Truth();
  for (const plan::Granules granules : {plan::Granules::kWhole, plan::Granules::kCut}) {
    for (uint32_t rows = 1; rows < 7; ++rows) {
      CascadeOptions options;
      options.granules = granules;
      options.rows_per_action = rows;
      options.workers = 1 + rows % 3;
      options.weights = rows % 2 == 0 ? WeightsMode::kStreamed : WeightsMode::kHeld;
      const std::string name = granules == plan::Granules::kCut ? "cut, " : "whole, ";
      Check(bench, options, truth, name + NameOf(options));
      options.outside = TensorsThatCanLieOutside(bench.graph());
      options.block_rows = 1 + rows / 2;
      options.cuts = {2, 3};
      Check(bench, options, truth, name + NameOf(options));
    }
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

/// A session with tensors outside, and the host's hands on them.
class OutsideCascadeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    session_ =
        bench_.Start(plan::MakeCascadePlan(bench_.graph(), WithTensorsOutside(bench_.graph())));
    ASSERT_NE(session_, nullptr);
    region_ = bench_.outside().region_count() - 1;
  }
  void ExpectTamperedRun() {
    const Status done = session_->Run();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, Code::kTampered);
  }

  Bench bench_{MakeTestGraph(12, 6)};
  std::unique_ptr<Session> session_;
  size_t region_ = 0;
};

TEST_F(OutsideCascadeTest, ATamperedRowOfTheInputIsRefused) {
  bench_.Feed(*session_);
  bench_.outside().Flip(region_, 8 * 40);  // the first tensor outside is the input
  ExpectTamperedRun();
  bench_.Feed(*session_);  // the session lives on
  EXPECT_TRUE(session_->Run().ok());
}

TEST_F(OutsideCascadeTest, AReplayedInputIsRefusedWhileItIsWritten) {
  bench_.Feed(*session_);
  const std::vector<std::byte> old = bench_.outside().Snapshot(region_);
  ASSERT_TRUE(session_->Run().ok());
  const std::vector<float> plane(12 * 12, 0.5F);
  session_->WriteInput(0, 0, plane);
  bench_.outside().Replay(region_, 0, old);
  session_->WriteInput(0, plane.size(), plane);  // returns to blocks that were sealed just now
  ExpectTamperedRun();
}

TEST_F(OutsideCascadeTest, AnInputThatIsNotWrittenIsRefused) {
  session_->WriteInput(0, 0, std::vector<float>(12, 1.0F));
  ExpectTamperedRun();
}

TEST_F(OutsideCascadeTest, ATamperedOutputRowIsRefused) {
  bench_.Feed(*session_);
  ASSERT_TRUE(session_->Run().ok());
  std::vector<float> values(100, 1.0F);
  // The output is the last tensor outside: 400 bytes and a tag in a multiple of 64.
  bench_.outside().Flip(region_, 8 * (bench_.outside().bytes(region_).size() - 400));
  const Status read = session_->ReadOutput(0, 0, values);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::kTampered);
}

}  // namespace
}  // namespace coracle::runtime

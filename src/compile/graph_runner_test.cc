#include "compile/graph_runner.h"

#include <gtest/gtest.h>

#include <set>

#include "runtime/bench_for_test.h"

namespace coracle::compile {
namespace {

using runtime::Bench;

/// What the runner makes of the input that Bench::Truth() takes.
std::vector<float> Answer(const graph::Graph& graph, const GraphRunner::Visitor& visit) {
  auto runner = GraphRunner::Make(graph, kernels::SimdKernels());
  EXPECT_TRUE(runner.ok()) << (runner.ok() ? "" : runner.error().message);
  if (!runner.ok()) return {};
  std::vector<std::vector<float>> inputs;
  for (const graph::Port& port : graph.inputs) {
    inputs.push_back(runtime::TestInput(port.shape.Elements()));
  }
  EXPECT_TRUE(runner->Run(inputs, visit).ok());
  std::vector<float> all;
  for (const std::vector<float>& output : runner->Outputs()) {
    all.insert(all.end(), output.begin(), output.end());
  }
  return all;
}

/// The bench's graph (its ports have channels first) with the sources that sealing takes away.
graph::Graph WithSources(const Bench& bench, const graph::Graph& graph) {
  graph::Graph both = bench.graph();
  for (size_t i = 0; i < both.nodes.size(); ++i) both.nodes[i].source = graph.nodes[i].source;
  return both;
}

TEST(GraphRunner, GivesTheBytesOfASession) {
  const graph::Graph graph = runtime::MakeTestGraph(12, 5);
  Bench bench(graph);
  const graph::Graph sourced = WithSources(bench, graph);
  std::set<graph::TensorIndex> seen;
  const std::vector<float> answer =
      Answer(sourced, [&](graph::TensorIndex tensor, Bytes elements) -> Status {
        EXPECT_TRUE(seen.insert(tensor).second);
        EXPECT_EQ(elements.size(), sourced.shape(tensor).Elements() * sizeof(float));
        return {};
      });
  EXPECT_TRUE(runtime::SameBytes(answer, bench.Truth()));
  EXPECT_EQ(seen.size(), sourced.tensors.size());
}

TEST(GraphRunner, AnErrorOfTheVisitorEndsTheRun) {
  const graph::Graph graph = runtime::MakeTestGraph(8, 5);
  auto runner = GraphRunner::Make(graph, kernels::SimdKernels());
  ASSERT_TRUE(runner.ok());
  uint32_t calls = 0;
  const std::vector<std::vector<float>> inputs = {
      runtime::TestInput(graph.inputs[0].shape.Elements())};
  const Status done = runner->Run(inputs, [&](graph::TensorIndex, Bytes) -> Status {
    return ++calls < 3 ? Status() : Status(Error{Code::kUnavailable, "enough"});
  });
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message, "enough");
  EXPECT_EQ(calls, 3U);
}

TEST(GraphRunner, SaysWhatNoKernelComputes) {
  const graph::Graph graph = runtime::MakeTestGraph(8, 5);
  kernels::KernelSet few = kernels::SimdKernels();
  few.rows[Position(graph::OpKind::kSoftmax)] = nullptr;
  const auto runner = GraphRunner::Make(graph, few);
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().code, Code::kUnsupported);
  EXPECT_NE(runner.error().message.find("'softmax'"), std::string::npos);
}

}  // namespace
}  // namespace coracle::compile

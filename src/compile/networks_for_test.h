// What the tests of this folder share: small networks, run over random inputs.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "compile/calibration.h"
#include "compile/compile.h"
#include "compile/graph_runner.h"
#include "compile/split_residuals.h"
#include "passes/graph_for_test.h"
#include "passes/pipeline.h"

namespace coracle::compile {

inline graph::Window Square(uint32_t kernel, uint32_t stride, uint32_t pad) {
  return {kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
}

/// Optimised, lowered, residuals split, weights cut.
inline graph::Graph Lowered(const passes::GraphForTest& b) {
  graph::Graph logical = b.graph();
  EXPECT_TRUE(passes::RunPasses(logical).ok());
  auto rows = passes::LowerToRows(logical);
  EXPECT_TRUE(rows.ok());
  graph::Graph split = SplitResiduals(*rows);
  CutWeights(split);
  return split;
}

/// The outputs for inputs drawn from a seed.
inline std::vector<std::vector<float>> RunAll(const graph::Graph& graph, uint32_t seed,
                                              const GraphRunner::Visitor& visit = nullptr) {
  passes::GraphForTest random(seed);
  std::vector<std::vector<float>> inputs;
  for (const graph::Port& port : graph.inputs) {
    inputs.push_back(random.Floats(port.shape.Elements(), -1, 1));
  }
  auto runner = GraphRunner::Make(graph, kernels::SimdKernels());
  EXPECT_TRUE(runner.ok()) << (runner.ok() ? "" : runner.error().message);
  EXPECT_TRUE(runner->Run(inputs, visit).ok());
  return runner->Outputs();
}

/// What calibration sees over a few such inputs.
inline std::vector<TensorSummary> SummariesOf(const graph::Graph& graph) {
  std::vector<TensorStatistics> seen;
  for (const graph::Tensor& tensor : graph.tensors) seen.emplace_back(tensor);
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    RunAll(graph, seed, [&](graph::TensorIndex tensor, Bytes elements) -> Status {
      EXPECT_TRUE(seen[Position(tensor)].Add(elements));
      return {};
    });
  }
  std::vector<TensorSummary> summaries;
  for (const auto& tensor : seen) summaries.push_back(tensor.Summary(RangeMethod::kMinMax));
  return summaries;
}

}  // namespace coracle::compile

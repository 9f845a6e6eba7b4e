// Folding into weights, and fusing at the store.
#include <gtest/gtest.h>

#include "graph/dump.h"
#include "passes/graph_for_test.h"
#include "passes/passes.h"
#include "passes/pipeline.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::OpKind;
using graph::Residual;
using graph::TensorIndex;

graph::Window Square(uint32_t kernel, uint32_t pad) {
  return {kernel, kernel, 1, 1, 1, 1, pad, pad, pad, pad};
}

graph::Graph Rewritten(const GraphForTest& builder) {
  graph::Graph graph = builder.graph();
  const Status status = RunPasses(graph);
  EXPECT_TRUE(status.ok()) << status.error().message;
  ExpectSameResults(builder.graph(), graph, 11);
  return graph;
}

TEST(FoldLinearBack, ChainsReachTheConv) {
  GraphForTest builder;
  TensorIndex x = builder.Conv(builder.Input({2, 3, 5, 5}), 4, Square(3, 1));
  graph::WeightSource norm;
  norm.scale = {1, 2, 3, 4};
  norm.bias = {4, 3, 2, 1};
  x = builder.Add(graph::Affine{}, {x}, norm);
  x = builder.Scalar(BinaryKind::kMul, x, 1.5F);
  x = builder.Constant(BinaryKind::kAdd, x, {4, 1, 1}, {1, 2, 3, 4});
  x = builder.Constant(BinaryKind::kSub, x, {1}, {0.5F}, graph::Operands::kConstantLeft);
  builder.Output(builder.Unary(x, ActivationKind::kRelu));
  const graph::Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 1U) << graph::Dump(graph);
  EXPECT_EQ(graph.nodes[0].source->weight, builder.graph().nodes[0].source->weight);
}

TEST(FoldLinearBack, AfterAnActivationAnAffineStays) {
  GraphForTest builder;
  TensorIndex x = builder.Conv(builder.Input({2, 3, 5, 5}), 4);
  x = builder.Unary(x, ActivationKind::kRelu);
  x = builder.Scalar(BinaryKind::kMul, x, 1.5F);
  x = builder.Scalar(BinaryKind::kAdd, x, 0.5F);
  builder.Output(builder.Conv(x, 4, Square(3, 1)));
  const graph::Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 3U) << graph::Dump(graph);
  EXPECT_EQ(graph.nodes[1].kind(), OpKind::kAffine);
}

TEST(FoldLinearBack, SharedResultsStay) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 5, 5}), 4);
  builder.Output(builder.Scalar(BinaryKind::kMul, x, 1.5F));
  builder.Output(x);
  EXPECT_EQ(Rewritten(builder).nodes.size(), 2U);
}

TEST(FoldLinearBack, DenseTakesItsOwnAxisOnly) {
  GraphForTest builder;
  TensorIndex x = builder.Dense(builder.Input({2, 5, 6}), 5);
  x = builder.Constant(BinaryKind::kAdd, x, {5}, {1, 2, 3, 4, 5});
  x = builder.Constant(BinaryKind::kMul, x, {5, 1}, {1, 2, 3, 4, 5});
  builder.Output(x);
  const graph::Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 2U);
  EXPECT_EQ(graph.nodes[0].source->bias.size(), 5U);
}

TEST(FoldLinearForward, IntoUnpaddedLayers) {
  GraphForTest builder;
  TensorIndex x = builder.Unary(builder.Input({2, 4, 5, 5}), ActivationKind::kTanh);
  x = builder.Scalar(BinaryKind::kMul, x, 1.5F);
  x = builder.Constant(BinaryKind::kAdd, x, {4, 1, 1}, {1, 2, 3, 4});
  x = builder.Unary(builder.Conv(x, 6, Square(3, 0), 2), ActivationKind::kTanh);
  x = builder.Reshape(builder.Mean(x, {2, 3}), {2, 6});
  const TensorIndex uniform =
      builder.Scalar(BinaryKind::kAdd, builder.Scalar(BinaryKind::kMul, x, 0.5F), 0.25F);
  const TensorIndex shifted = builder.Constant(BinaryKind::kAdd, x, {6}, {1, 2, 3, 4, 5, 6});
  builder.Output(builder.Dense(uniform, 3));
  builder.Output(builder.Dense(shifted, 4));
  const graph::Graph graph = Rewritten(builder);
  EXPECT_EQ(CountOf(graph, OpKind::kAffine), 0U) << graph::Dump(graph);
}

TEST(FoldPad, IntoConvAndPools) {
  GraphForTest builder;
  const graph::Pad pad{graph::PadMode::kConstant, 0, {0, 0, 1, 0}, {0, 0, 1, 2}};
  const TensorIndex x = builder.Input({1, 3, 6, 6});
  const TensorIndex positive = builder.Unary(x, ActivationKind::kRelu);
  const graph::Pool average{graph::PoolKind::kAverage, graph::PadCounting::kExcludePad,
                            Square(3, 0)};
  const graph::Pool largest{graph::PoolKind::kMax, graph::PadCounting::kExcludePad, Square(3, 0)};
  builder.Output(builder.Conv(builder.Add(pad, {x}), 4, Square(3, 1)));
  builder.Output(builder.Add(average, {builder.Add(pad, {x})}));
  builder.Output(builder.Add(largest, {builder.Add(pad, {positive})}));
  const graph::Graph graph = Rewritten(builder);
  EXPECT_EQ(CountOf(graph, OpKind::kPad), 0U) << graph::Dump(graph);
}

TEST(FoldPad, OnlyWhereExact) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 3, 6, 6});
  const graph::Pad zeros{graph::PadMode::kConstant, 0, {0, 0, 1, 0}, {0, 0, 1, 2}};
  const graph::Pad ones{graph::PadMode::kConstant, 1, {0, 0, 1, 0}, {0, 0, 1, 2}};
  const graph::Pad channel{graph::PadMode::kConstant, 0, {0, 1, 0, 0}, {0, 0, 0, 0}};
  const graph::Pool largest{graph::PoolKind::kMax, graph::PadCounting::kExcludePad, Square(3, 0)};
  const graph::Pool padded{graph::PoolKind::kAverage, graph::PadCounting::kExcludePad,
                           Square(3, 1)};
  builder.Output(builder.Add(largest, {builder.Add(zeros, {x})}));
  builder.Output(builder.Add(padded, {builder.Add(zeros, {x})}));
  builder.Output(builder.Conv(builder.Add(ones, {x}), 4, Square(3, 0)));
  builder.Output(builder.Conv(builder.Add(channel, {x}), 4, Square(3, 0)));
  const graph::Graph graph = Rewritten(builder);
  EXPECT_EQ(CountOf(graph, OpKind::kPad), 3U) << graph::Dump(graph);
}

TEST(FoldMatMulScale, FromAllSides) {
  GraphForTest builder;
  const TensorIndex a = builder.Scalar(BinaryKind::kMul, builder.Input({2, 3, 4}), 0.5F);
  const TensorIndex b = builder.Scalar(BinaryKind::kDiv, builder.Input({2, 4, 5}), 4);
  const TensorIndex product = builder.Add(graph::MatMul{}, {a, b});
  builder.Output(builder.Scalar(BinaryKind::kMul, product, 3));
  const graph::Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 1U);
  EXPECT_FLOAT_EQ(std::get<graph::MatMul>(graph.nodes[0].attrs).scale, 0.375F);
}

TEST(FuseResidual, BeforeAndAfterTheActivation) {
  for (const bool before : {true, false}) {
    GraphForTest builder;
    const TensorIndex x = builder.Unary(builder.Input({1, 4, 5, 5}), ActivationKind::kTanh);
    TensorIndex y = builder.Conv(x, 4, Square(3, 1));
    if (!before) y = builder.Unary(y, ActivationKind::kRelu);
    y = builder.Binary(BinaryKind::kAdd, y, x);
    if (before) y = builder.Unary(y, ActivationKind::kRelu);
    builder.Output(y);
    const graph::Graph graph = Rewritten(builder);
    ASSERT_EQ(graph.nodes.size(), 2U) << graph::Dump(graph);
    EXPECT_EQ(graph.nodes[1].residual,
              before ? Residual::kBeforeActivation : Residual::kAfterActivation);
    EXPECT_EQ(graph.nodes[1].activation.kind, ActivationKind::kRelu);
  }
}

TEST(FuseResidual, TakesTheOperandThatIsComputedLast) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4, 5, 5});
  const TensorIndex shortcut = builder.Conv(x, 4);
  const TensorIndex main = builder.Conv(builder.Conv(x, 6), 4);
  builder.Output(builder.Binary(BinaryKind::kAdd, shortcut, main));
  const graph::Graph graph = Rewritten(builder);
  ASSERT_EQ(graph.nodes.size(), 3U);
  EXPECT_EQ(graph.nodes[2].inputs[1], graph.nodes[0].output);
}

TEST(FuseResidual, NotTwoActivationsNorBroadcasts) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4, 5, 5});
  const TensorIndex y = builder.Unary(builder.Conv(x, 4), ActivationKind::kRelu);
  const TensorIndex sum = builder.Binary(BinaryKind::kAdd, y, x);
  builder.Output(builder.Unary(sum, ActivationKind::kTanh));
  builder.Output(builder.Binary(BinaryKind::kAdd, builder.Conv(x, 4), builder.Mean(x, {2, 3})));
  const graph::Graph graph = Rewritten(builder);
  EXPECT_EQ(CountOf(graph, OpKind::kBinary), 2U) << graph::Dump(graph);
}

}  // namespace
}  // namespace coracle::passes

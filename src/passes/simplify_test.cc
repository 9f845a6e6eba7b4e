#include <gtest/gtest.h>

#include "passes/graph_for_test.h"
#include "passes/passes.h"

namespace coracle::passes {
namespace {

using graph::BinaryKind;
using graph::OpKind;
using graph::TensorIndex;

TEST(Simplify, RemovesWhatDoesNothing) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4, 5, 6});
  TensorIndex y = builder.Reshape(x, {1, 4, 5, 6});
  y = builder.Transpose(y, {0, 1, 2, 3});
  y = builder.Scalar(BinaryKind::kMul, y, 1);
  y = builder.Scalar(BinaryKind::kAdd, y, 0);
  y = builder.Add(graph::Concat{1}, {y});
  y = builder.Add(graph::Pad{graph::PadMode::kConstant, 0, {0, 0, 0, 0}, {0, 0, 0, 0}}, {y});
  y = builder.Add(graph::Slice{{0, 0, 0, 0}, {1, 1, 1, 1}}, {y}, {}, {1, 4, 5, 6});
  y = builder.Mean(y, {0});
  y = builder.Unary(y, graph::ActivationKind::kNone);
  y = builder.Unary(y, graph::ActivationKind::kRelu);
  builder.Output(y);
  graph::Graph graph = builder.graph();
  EXPECT_GT(Simplify(graph), 0U);
  ASSERT_EQ(graph.nodes.size(), 1U);
  EXPECT_EQ(graph.tensors.size(), 2U);
  ExpectSameResults(builder.graph(), graph, 1);
}

TEST(Simplify, KeepsWhatDoesSomething) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4, 4});
  TensorIndex y = builder.Transpose(x, {0, 2, 1});
  y = builder.Add(graph::Slice{{0, 3, 0}, {1, -1, 1}}, {y}, {}, {1, 4, 4});
  // Adding 0 to more elements than there were broadcasts.
  y = builder.Constant(BinaryKind::kAdd, y, {2, 1, 1}, {0, 0});
  builder.Output(y);
  graph::Graph graph = builder.graph();
  EXPECT_EQ(Simplify(graph), 0U);
  EXPECT_EQ(graph.nodes.size(), 3U);
}

TEST(Simplify, JoinsChains) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({2, 3, 8});
  TensorIndex y = builder.Transpose(x, {2, 0, 1});
  y = builder.Transpose(y, {1, 2, 0});
  y = builder.Add(graph::Slice{{0, 0, 1}, {1, 1, 2}}, {y}, {}, {2, 3, 3});
  y = builder.Add(graph::Slice{{0, 2, 2}, {1, -1, -1}}, {y}, {}, {2, 2, 2});
  y = builder.Reshape(builder.Reshape(y, {8}), {4, 2});
  builder.Output(builder.Add(graph::Concat{0}, {builder.Add(graph::Concat{0}, {y, y}), y}));
  graph::Graph graph = builder.graph();
  Simplify(graph);
  ASSERT_EQ(graph.nodes.size(), 3U);
  EXPECT_EQ(graph.nodes[0].kind(), OpKind::kSlice);
  EXPECT_EQ(graph.nodes[1].kind(), OpKind::kReshape);
  EXPECT_EQ(graph.nodes[2].inputs.size(), 3U);
  ExpectSameResults(builder.graph(), graph, 1);
}

TEST(Simplify, DropsDeadNodes) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4});
  builder.Dense(builder.Dense(x, 3), 3);
  builder.Output(builder.Dense(x, 2));
  graph::Graph graph = builder.graph();
  Simplify(graph);
  EXPECT_EQ(graph.nodes.size(), 1U);
  ExpectSameResults(builder.graph(), graph, 1);
}

TEST(ShareCommon, ComputesEqualNodesOnce) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4});
  const TensorIndex a = builder.Scalar(BinaryKind::kMul, x, 2);
  const TensorIndex b = builder.Scalar(BinaryKind::kMul, x, 2);
  const TensorIndex c = builder.Scalar(BinaryKind::kMul, x, 3);
  builder.Output(builder.Binary(BinaryKind::kAdd, builder.Binary(BinaryKind::kAdd, a, b), c));
  builder.Output(b);
  graph::Graph graph = builder.graph();
  EXPECT_EQ(ShareCommon(graph), 1U);
  EXPECT_EQ(graph.nodes.size(), 4U);
  ExpectSameResults(builder.graph(), graph, 1);
}

TEST(ShareConcatPrefix, ContinuesWhatIsTogether) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({1, 4, 3, 3});
  const TensorIndex a = builder.Conv(x, 2);
  const TensorIndex b = builder.Conv(x, 3);
  const TensorIndex c = builder.Conv(x, 4);
  builder.Output(builder.Add(graph::Concat{1}, {x, a}));
  builder.Output(builder.Add(graph::Concat{1}, {x, a, b}));
  builder.Output(builder.Add(graph::Concat{1}, {x, a, b, c}));
  builder.Output(builder.Add(graph::Concat{1}, {a, b}));
  graph::Graph graph = builder.graph();
  EXPECT_EQ(ShareConcatPrefix(graph), 2U);
  for (const graph::Node& node : graph.nodes) EXPECT_LE(node.inputs.size(), 2U);
  ExpectSameResults(builder.graph(), graph, 1);
  EXPECT_EQ(ShareConcatPrefix(graph), 0U);
}

}  // namespace
}  // namespace coracle::passes

#include <gtest/gtest.h>

#include "graph/dump.h"
#include "passes/graph_for_test.h"
#include "passes/pipeline.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::OpKind;
using graph::TensorIndex;

graph::Graph Lowered(const GraphForTest& builder) {
  const auto rows = LowerToRows(builder.graph());
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  ExpectSameResults(builder.graph(), *rows, 5);
  return *rows;
}

TEST(Lowering, ImagesNeedNoTranspose) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({2, 3, 8, 8});
  const TensorIndex a = builder.Conv(x, 4);
  const TensorIndex b = builder.Conv(x, 6);
  TensorIndex y = builder.Add(graph::Concat{1}, {a, b});
  y = builder.Binary(BinaryKind::kMul, y, builder.Conv(builder.Mean(y, {2, 3}), 10));
  builder.Output(builder.Add(graph::Softmax{1}, {y}));
  const graph::Graph rows = Lowered(builder);
  EXPECT_EQ(CountOf(rows, OpKind::kTranspose), 0U) << graph::Dump(rows);
  EXPECT_EQ(CountOf(rows, OpKind::kReshape), 0U) << graph::Dump(rows);
  EXPECT_EQ(rows.inputs[0].perm, (std::vector<uint32_t>{0, 2, 3, 1}));
  EXPECT_EQ(rows.outputs[0].perm, (std::vector<uint32_t>{0, 2, 3, 1}));
}

TEST(Lowering, FlattenBeforeDenseKeepsTheOrder) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
  const TensorIndex flat = builder.Reshape(x, {2, 120});
  builder.Output(builder.Dense(flat, 7));
  builder.Output(builder.Dense(flat, 4));
  const graph::Graph rows = Lowered(builder);
  EXPECT_EQ(CountOf(rows, OpKind::kTranspose), 0U) << graph::Dump(rows);
  const graph::Node& dense = rows.nodes.back();
  EXPECT_EQ(dense.source->flattened_from, (Shape{6, 4, 5}));
  EXPECT_EQ(dense.source->weight, builder.graph().nodes.back().source->weight);
}

TEST(Lowering, FlattenForOthersMovesElements) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
  const TensorIndex flat = builder.Reshape(x, {2, 120});
  builder.Output(builder.Dense(flat, 7));
  builder.Output(flat);
  EXPECT_EQ(CountOf(Lowered(builder), OpKind::kTranspose), 1U);
}

TEST(Lowering, ImageToSequenceIsFree) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
  const TensorIndex tokens = builder.Transpose(builder.Reshape(x, {2, 6, 20}), {0, 2, 1});
  const TensorIndex features = builder.Dense(tokens, 8);
  const TensorIndex image = builder.Reshape(builder.Transpose(features, {0, 2, 1}), {2, 8, 4, 5});
  builder.Output(builder.Conv(image, 2));
  EXPECT_EQ(CountOf(Lowered(builder), OpKind::kTranspose), 0U);
}

TEST(Lowering, AttentionTransposesOnce) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({2, 7, 24});
  const auto heads = [&](TensorIndex t) {
    return builder.Transpose(builder.Reshape(builder.Dense(t, 24), {2, 7, 4, 6}), {0, 2, 1, 3});
  };
  const TensorIndex q = heads(x);
  const TensorIndex k = builder.Transpose(heads(x), {0, 1, 3, 2});
  const TensorIndex v = heads(x);
  const TensorIndex scores = builder.Add(graph::MatMul{}, {q, k});
  const TensorIndex weights = builder.Add(graph::Softmax{3}, {scores});
  const TensorIndex mixed = builder.Add(graph::MatMul{}, {weights, v});
  const TensorIndex joined = builder.Reshape(builder.Transpose(mixed, {0, 2, 1, 3}), {2, 7, 24});
  builder.Output(builder.Dense(joined, 24));
  const graph::Graph rows = Lowered(builder);
  // q, k, v and the result: one each, and b transposed rather than k turned round.
  EXPECT_EQ(CountOf(rows, OpKind::kTranspose), 4U) << graph::Dump(rows);
}

TEST(Lowering, ChannelShuffleTransposesOnce) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 8);
  const TensorIndex split = builder.Reshape(x, {2, 2, 4, 4, 5});
  const TensorIndex shuffled =
      builder.Reshape(builder.Transpose(split, {0, 2, 1, 3, 4}), {2, 8, 4, 5});
  builder.Output(builder.Conv(shuffled, 4));
  EXPECT_EQ(CountOf(Lowered(builder), OpKind::kTranspose), 1U);
}

TEST(Lowering, PortsAbsorbTransposes) {
  GraphForTest builder;
  const TensorIndex image = builder.Transpose(builder.Input({2, 8, 9, 3}), {0, 3, 1, 2});
  builder.Output(builder.Transpose(builder.Conv(image, 4), {0, 2, 3, 1}));
  const graph::Graph rows = Lowered(builder);
  EXPECT_EQ(rows.nodes.size(), 1U) << graph::Dump(rows);
  EXPECT_EQ(rows.inputs[0].perm, (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(rows.outputs[0].perm, (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST(Lowering, ConstantsFollowTheirOperand) {
  GraphForTest builder;
  const TensorIndex x = builder.Unary(builder.Input({2, 3, 4, 5}), ActivationKind::kTanh);
  const TensorIndex per_channel = builder.Constant(BinaryKind::kMul, x, {3, 1, 1}, {1, 2, 3});
  const TensorIndex wide =
      builder.Constant(BinaryKind::kMul, per_channel, {3, 1, 5}, builder.Floats(15, 1, 2));
  builder.Output(builder.Constant(BinaryKind::kMax, wide, {3, 4, 5}, builder.Floats(60, -1, 1)));
  const graph::Graph rows = Lowered(builder);
  EXPECT_EQ(CountOf(rows, OpKind::kTranspose), 0U);
  EXPECT_EQ(CountOf(rows, OpKind::kAffine), 1U);
  EXPECT_EQ(std::get<graph::Binary>(rows.nodes.back().attrs).constant_shape, (Shape{1, 4, 5, 3}));
}

TEST(Lowering, ReducesInTheFormsThatKernelsHave) {
  for (uint32_t axes = 1; axes < 16; ++axes) {
    SCOPED_TRACE(axes);
    GraphForTest builder;
    const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
    graph::Reduce reduce{graph::ReduceKind::kMean, {}};
    for (uint32_t axis = 0; axis < 4; ++axis) {
      if ((axes >> axis & 1U) != 0) reduce.axes.push_back(axis);
    }
    builder.Output(builder.Add(reduce, {x}));
    Lowered(builder);
  }
}

TEST(SplitGlobalPooling, LetsTheRowsOfLargeMapsFlowPast) {
  // Of 320 columns a window takes 160; small maps and one row stay whole, and so do sums.
  struct Case {
    Shape shape;
    graph::ReduceKind kind;
    size_t pools;
  };
  const Case cases[] = {{{1, 8, 60, 320}, graph::ReduceKind::kMean, 1},
                        {{2, 8, 90, 100}, graph::ReduceKind::kMax, 1},
                        {{1, 8, 60, 320}, graph::ReduceKind::kSum, 0},
                        {{1, 8, 9, 20}, graph::ReduceKind::kMean, 0}};
  for (const Case& test : cases) {
    GraphForTest builder;
    const TensorIndex x = builder.Input(test.shape);
    builder.Output(builder.Add(graph::Reduce{test.kind, {2, 3}}, {x}));
    const auto rows = LowerToRows(builder.graph());
    ASSERT_TRUE(rows.ok()) << rows.error().message;
    EXPECT_EQ(CountOf(*rows, OpKind::kPool), test.pools) << graph::Dump(*rows);
    EXPECT_EQ(CountOf(*rows, OpKind::kReduce), 1U);
    ExpectSameResults(builder.graph(), *rows, 6);
  }
}

}  // namespace
}  // namespace coracle::passes

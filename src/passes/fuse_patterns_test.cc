// The activations and normalisations that exporters take apart, in the spellings that occur.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/dump.h"
#include "passes/graph_for_test.h"
#include "passes/pipeline.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::OpKind;
using graph::TensorIndex;

using Spelling = std::function<TensorIndex(GraphForTest&, TensorIndex)>;

struct Case {
  const char* name;
  ActivationKind expected;
  Spelling spell;
};

class ActivationSpelling : public testing::TestWithParam<Case> {};

/// Conv, spelling, Conv: two nodes must be left, and the first must have the activation.
TEST_P(ActivationSpelling, BecomesOneActivation) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
  const TensorIndex y = GetParam().spell(builder, x);
  builder.Output(builder.Conv(y, 4));
  graph::Graph graph = builder.graph();
  const Status status = RunPasses(graph);
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(graph.nodes.size(), 2U) << graph::Dump(graph);
  EXPECT_EQ(graph.nodes[0].activation.kind, GetParam().expected) << graph::Dump(graph);
  ExpectSameResults(builder.graph(), graph, 3);
}

TensorIndex Gate(GraphForTest& b, TensorIndex x, float top) {
  return b.Unary(b.Scalar(BinaryKind::kAdd, x, 3), ActivationKind::kClip, 0, top);
}

INSTANTIATE_TEST_SUITE_P(
    All, ActivationSpelling,
    testing::Values(
        Case{"HardSwishPaddle", ActivationKind::kHardSwish,
             [](GraphForTest& b, TensorIndex x) {
               return b.Scalar(BinaryKind::kDiv, b.Binary(BinaryKind::kMul, x, Gate(b, x, 6)), 6);
             }},
        Case{"HardSwishTorch", ActivationKind::kHardSwish,
             [](GraphForTest& b, TensorIndex x) {
               return b.Binary(BinaryKind::kMul, x, b.Scalar(BinaryKind::kDiv, Gate(b, x, 6), 6));
             }},
        Case{"HardSwishTimesSixth", ActivationKind::kHardSwish,
             [](GraphForTest& b, TensorIndex x) {
               return b.Binary(BinaryKind::kMul,
                               b.Scalar(BinaryKind::kMul, Gate(b, x, 6), 1.0F / 6), x);
             }},
        Case{"HardSwishOfHardSigmoid", ActivationKind::kHardSwish,
             [](GraphForTest& b, TensorIndex x) {
               return b.Binary(BinaryKind::kMul, x,
                               b.Unary(x, ActivationKind::kHardSigmoid, 1.0F / 6, 0.5F));
             }},
        Case{"HardSigmoid", ActivationKind::kHardSigmoid,
             [](GraphForTest& b, TensorIndex x) {
               return b.Scalar(BinaryKind::kDiv, Gate(b, x, 6), 6);
             }},
        Case{"HardSigmoidClippedAtOne", ActivationKind::kHardSigmoid,
             [](GraphForTest& b, TensorIndex x) {
               const TensorIndex scaled = b.Scalar(BinaryKind::kMul, x, 0.2F);
               return b.Unary(b.Scalar(BinaryKind::kAdd, scaled, 0.5F), ActivationKind::kClip, 0,
                              1);
             }},
        Case{"Swish", ActivationKind::kSwish,
             [](GraphForTest& b, TensorIndex x) {
               return b.Binary(BinaryKind::kMul, b.Unary(x, ActivationKind::kSigmoid), x);
             }},
        Case{"SwishWithBeta", ActivationKind::kSwish,
             [](GraphForTest& b, TensorIndex x) {
               const TensorIndex scaled = b.Scalar(BinaryKind::kMul, x, 1.7F);
               return b.Binary(BinaryKind::kMul, x, b.Unary(scaled, ActivationKind::kSigmoid));
             }},
        Case{"Mish", ActivationKind::kMish,
             [](GraphForTest& b, TensorIndex x) {
               const TensorIndex softplus = b.Unary(x, ActivationKind::kSoftplus);
               return b.Binary(BinaryKind::kMul, x, b.Unary(softplus, ActivationKind::kTanh));
             }},
        Case{"GeluTorch", ActivationKind::kGelu,
             [](GraphForTest& b, TensorIndex x) {
               const TensorIndex erf =
                   b.Unary(b.Scalar(BinaryKind::kDiv, x, std::sqrt(2.0F)), ActivationKind::kErf);
               const TensorIndex gate = b.Scalar(BinaryKind::kAdd, erf, 1);
               return b.Scalar(BinaryKind::kMul, b.Binary(BinaryKind::kMul, x, gate), 0.5F);
             }},
        Case{"GeluHalfFirst", ActivationKind::kGelu,
             [](GraphForTest& b, TensorIndex x) {
               const TensorIndex erf =
                   b.Unary(b.Scalar(BinaryKind::kMul, x, std::sqrt(0.5F)), ActivationKind::kErf);
               const TensorIndex gate = b.Scalar(BinaryKind::kAdd, erf, 1);
               return b.Binary(BinaryKind::kMul, b.Scalar(BinaryKind::kMul, x, 0.5F), gate);
             }}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(FuseGated, LeavesOtherFactorsAlone) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({1, 3, 4, 5}), 6);
  // Divided by 5, not 6: no hard swish.
  const TensorIndex product = builder.Binary(BinaryKind::kMul, x, Gate(builder, x, 6));
  builder.Output(builder.Scalar(BinaryKind::kDiv, product, 5));
  graph::Graph graph = builder.graph();
  ASSERT_TRUE(RunPasses(graph).ok());
  for (const graph::Node& node : graph.nodes) {
    EXPECT_NE(node.activation.kind, ActivationKind::kHardSwish);
  }
  ExpectSameResults(builder.graph(), graph, 1);
}

TensorIndex SpellLayerNorm(GraphForTest& b, TensorIndex x, bool two_subtractions, bool square) {
  const uint32_t last = b.shape(x).rank() - 1;
  const uint32_t count = b.shape(x).Back(0);
  const TensorIndex mean = b.Mean(x, {last});
  const TensorIndex d = b.Binary(BinaryKind::kSub, x, mean);
  const TensorIndex e = two_subtractions ? b.Binary(BinaryKind::kSub, x, mean) : d;
  const TensorIndex power =
      square ? b.Binary(BinaryKind::kMul, d, d) : b.Scalar(BinaryKind::kPow, d, 2);
  const TensorIndex variance = b.Scalar(BinaryKind::kAdd, b.Mean(power, {last}), 1e-5F);
  const TensorIndex root = b.Unary(variance, ActivationKind::kSqrt);
  TensorIndex y = b.Binary(BinaryKind::kDiv, e, root);
  y = b.Constant(BinaryKind::kMul, y, {count}, b.Floats(count, 0.5F, 2));
  return b.Constant(BinaryKind::kAdd, y, {count}, b.Floats(count, -1, 1));
}

TEST(FuseLayerNorm, TakesItsSpellings) {
  for (int spelling = 0; spelling < 4; ++spelling) {
    SCOPED_TRACE(spelling);
    GraphForTest builder;
    const TensorIndex x = builder.Input({2, 5, 12});
    builder.Output(
        builder.Dense(SpellLayerNorm(builder, x, spelling % 2 == 1, spelling / 2 == 1), 4));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    ASSERT_EQ(graph.nodes.size(), 2U) << graph::Dump(graph);
    EXPECT_EQ(graph.nodes[0].kind(), OpKind::kLayerNorm);
    EXPECT_EQ(graph.nodes[0].source->scale.size(), 12U);
    ExpectSameResults(builder.graph(), graph, 1);
  }
}

TEST(FuseLayerNorm, LeavesOtherAxesAlone) {
  GraphForTest builder;
  const TensorIndex x = builder.Input({2, 5, 12});
  const TensorIndex d = builder.Binary(BinaryKind::kSub, x, builder.Mean(x, {1}));
  const TensorIndex variance = builder.Mean(builder.Scalar(BinaryKind::kPow, d, 2), {1});
  builder.Output(
      builder.Binary(BinaryKind::kDiv, d, builder.Unary(variance, ActivationKind::kSqrt)));
  graph::Graph graph = builder.graph();
  ASSERT_TRUE(RunPasses(graph).ok());
  EXPECT_EQ(CountOf(graph, OpKind::kLayerNorm), 0U);
}

TEST(FusePRelu, NeedsSlopesOfAtMostOne) {
  for (const float steepest : {0.9F, 1.1F}) {
    GraphForTest builder;
    const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 3);
    const TensorIndex negative = builder.Scalar(BinaryKind::kMin, x, 0);
    const TensorIndex sloped =
        builder.Constant(BinaryKind::kMul, negative, {3, 1, 1}, {0.25F, -0.5F, steepest});
    const TensorIndex positive = builder.Unary(x, ActivationKind::kRelu);
    builder.Output(builder.Binary(BinaryKind::kAdd, positive, sloped));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    EXPECT_EQ(graph.nodes.size(), steepest <= 1 ? 3U : 5U) << graph::Dump(graph);
    ExpectSameResults(builder.graph(), graph, 2);
  }
}

TEST(FuseGatedResidual, AddsOneToTheGate) {
  for (const bool gate_first : {false, true}) {
    GraphForTest builder;
    const TensorIndex x = builder.Conv(builder.Input({2, 3, 4, 5}), 6);
    const TensorIndex gate = builder.Conv(builder.Mean(x, {2, 3}), 6);
    const TensorIndex product = builder.Binary(BinaryKind::kMul, x, gate);
    builder.Output(gate_first ? builder.Binary(BinaryKind::kAdd, product, x)
                              : builder.Binary(BinaryKind::kAdd, x, product));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    EXPECT_EQ(CountOf(graph, OpKind::kBinary), 1U) << graph::Dump(graph);
    ExpectSameResults(builder.graph(), graph, 2);
  }
}

TEST(FuseGatedResidual, LeavesFullSizeFactorsAlone) {
  GraphForTest builder;
  const TensorIndex x = builder.Conv(builder.Input({1, 3, 4, 5}), 6);
  const TensorIndex full = builder.Unary(x, ActivationKind::kTanh);
  builder.Output(builder.Binary(BinaryKind::kAdd, x, builder.Binary(BinaryKind::kMul, x, full)));
  graph::Graph graph = builder.graph();
  ASSERT_TRUE(RunPasses(graph).ok());
  EXPECT_EQ(CountOf(graph, OpKind::kAffine), 0U);
  ExpectSameResults(builder.graph(), graph, 1);
}

/// Heads of width 4 of a Dense of x [N, T, C]; keys turned where `columns`.
TensorIndex Heads(GraphForTest& b, TensorIndex x, bool columns) {
  const Shape shape = b.shape(x);
  const TensorIndex heads = b.Reshape(b.Dense(x, 12), {shape[0], shape[1], 3, 4});
  return b.Transpose(
      heads, columns ? std::vector<uint32_t>{0, 2, 3, 1} : std::vector<uint32_t>{0, 2, 1, 3});
}

enum class Mask { kNone, kInput, kConstant };

TensorIndex SpellAttention(GraphForTest& b, TensorIndex x, bool columns, Mask mask) {
  const Shape shape = b.shape(x);
  graph::MatMul product;
  if (!columns) product.transpose_b = graph::TransposeB::kYes;
  TensorIndex scores = b.Add(product, {Heads(b, x, false), Heads(b, x, columns)});
  scores = b.Scalar(BinaryKind::kMul, scores, 0.5F);
  if (mask == Mask::kInput) {
    scores = b.Binary(BinaryKind::kAdd, b.Input({shape[0], 1, 1, shape[1]}), scores);
  } else if (mask == Mask::kConstant) {
    const Shape each{1, 3, shape[1], shape[1]};
    scores = b.Constant(BinaryKind::kAdd, scores, each, b.Floats(each.Elements(), -1, 2));
  }
  const TensorIndex weights = b.Add(graph::Softmax{3}, {scores});
  const TensorIndex sum = b.Add(graph::MatMul{}, {weights, Heads(b, x, false)});
  return b.Reshape(b.Transpose(sum, {0, 2, 1, 3}), {shape[0], shape[1], 12});
}

TEST(FuseAttention, TakesItsSpellingsAndMovesNothing) {
  for (const uint32_t images : {1U, 2U}) {
    for (const bool columns : {false, true}) {
      for (const Mask mask : {Mask::kNone, Mask::kInput, Mask::kConstant}) {
        GraphForTest builder;
        const TensorIndex x = builder.Input({images, 6, 10});
        builder.Output(builder.Dense(SpellAttention(builder, x, columns, mask), 5));
        graph::Graph graph = builder.graph();
        ASSERT_TRUE(RunPasses(graph).ok());
        EXPECT_EQ(CountOf(graph, OpKind::kAttention), 1U) << graph::Dump(graph);
        EXPECT_EQ(CountOf(graph, OpKind::kSoftmax), 0U) << graph::Dump(graph);
        ExpectSameResults(builder.graph(), graph, 3);
        const auto rows = LowerToRows(graph);
        ASSERT_TRUE(rows.ok());
        EXPECT_EQ(CountOf(*rows, OpKind::kTranspose), 0U) << graph::Dump(*rows);
        ExpectSameResults(builder.graph(), *rows, 3);
      }
    }
  }
}

TEST(FuseAttention, TakesRanksBelowFour) {
  for (const bool heads : {false, true}) {
    GraphForTest builder;
    const auto shape = [&](uint32_t rows, uint32_t columns) {
      return heads ? Shape{3, rows, columns} : Shape{rows, columns};
    };
    const TensorIndex q = builder.Input(shape(5, 4));
    const TensorIndex k = builder.Input(shape(4, 7));
    const TensorIndex v = builder.Input(shape(7, 6));
    const TensorIndex scores = builder.Add(graph::MatMul{}, {q, k});
    const TensorIndex weights = builder.Add(graph::Softmax{heads ? 2U : 1U}, {scores});
    builder.Output(builder.Add(graph::MatMul{}, {weights, v}));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    EXPECT_EQ(CountOf(graph, OpKind::kAttention), 1U) << graph::Dump(graph);
    ExpectSameResults(builder.graph(), graph, 4);
    const auto rows = LowerToRows(graph);
    ASSERT_TRUE(rows.ok());
    ExpectSameResults(builder.graph(), *rows, 4);
  }
}

TEST(FuseAttention, LeavesScoresAloneThatAreReadElsewhere) {
  for (const int spoiled : {0, 1, 2}) {
    GraphForTest builder;
    const TensorIndex q = builder.Input({1, 2, 5, 4});
    const TensorIndex k = builder.Input({1, 2, 4, 5});
    const TensorIndex scores = builder.Add(graph::MatMul{}, {q, k});
    const TensorIndex weights = builder.Add(graph::Softmax{spoiled == 0 ? 2U : 3U}, {scores});
    if (spoiled == 1) builder.Output(weights);
    if (spoiled == 2) builder.Output(scores);
    builder.Output(builder.Add(graph::MatMul{}, {weights, q}));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    EXPECT_EQ(CountOf(graph, OpKind::kAttention), 0U);
  }
}

TEST(Recurrence, KeepsItsMeaningThroughPassesAndLowering) {
  for (const auto cell : {graph::CellKind::kElman, graph::CellKind::kGru,
                          graph::CellKind::kGruResetAfter, graph::CellKind::kLstm}) {
    GraphForTest builder;
    const TensorIndex x = builder.Transpose(builder.Input({7, 2, 6}), {1, 0, 2});
    const graph::Recurrence attrs{.cell = cell,
                                  .hidden = 5,
                                  .order = graph::TimeOrder::kBackward,
                                  .initial = graph::InitialState::kConstant,
                                  .clip = 0.4F};
    const uint32_t sums = graph::GateCount(cell) * attrs.hidden;
    graph::WeightSource source;
    source.weight = MakeConstant({sums, 5}, builder.Floats(uint64_t{sums} * 5, -0.3F, 0.6F));
    source.bias = builder.Floats(sums, -0.3F, 0.6F);
    source.initial_state = builder.Floats(graph::StateChannels(attrs), -0.5F, 1);
    const TensorIndex states = builder.Add(attrs, {builder.Dense(x, sums)}, source);
    builder.Output(builder.Unary(states, ActivationKind::kTanh));
    graph::Graph graph = builder.graph();
    ASSERT_TRUE(RunPasses(graph).ok());
    const auto rows = LowerToRows(graph);
    ASSERT_TRUE(rows.ok());
    ExpectSameResults(builder.graph(), *rows, 5);
  }
}

}  // namespace
}  // namespace coracle::passes

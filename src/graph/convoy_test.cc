#include "graph/convoy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/infer.h"
#include "graph/verify.h"

namespace coracle::graph {
namespace {

std::vector<uint32_t> Identity(uint32_t rank) {
  std::vector<uint32_t> perm;
  for (uint32_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
  return perm;
}

/// A graph of one layer.
Graph OneLayer(Attributes attrs, const std::vector<Shape>& inputs, const Shape& output) {
  Graph graph;
  graph.stage = Stage::kRows;
  Node node;
  node.name = "layer";
  node.attrs = std::move(attrs);
  for (const Shape& shape : inputs) {
    const TensorIndex tensor = graph.AddTensor("in", shape);
    node.inputs.push_back(tensor);
    const std::string name = "in" + std::to_string(graph.inputs.size());
    graph.inputs.push_back({name, tensor, shape, Identity(shape.rank())});
  }
  node.output = graph.AddTensor("out", output);
  graph.outputs.push_back({"out", node.output, output, Identity(output.rank())});
  graph.AddNode(std::move(node));
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  return graph;
}

Slice SliceOf(uint32_t axis, int64_t begin, uint32_t rank) {
  Slice slice;
  slice.starts.assign(rank, 0);
  slice.steps.assign(rank, 1);
  slice.starts[axis] = begin;
  return slice;
}

Pad PadOf(uint32_t axis, uint32_t rank) {
  Pad pad;
  pad.before.assign(rank, 0);
  pad.after.assign(rank, 0);
  pad.before[axis] = 1;
  return pad;
}

Binary WithConstant(const Shape& constant) {
  return {BinaryKind::kAdd, Operands::kConstantRight, constant};
}

Conv Pointwise(uint32_t channels) {
  Conv conv;
  conv.out_channels = channels;
  return conv;
}

// Ranges are those of images, which the rows of a matrix are not.
TEST(WithBatch, KeepsRangesPerImage) {
  const Result<Graph> images = WithBatch(OneLayer(RowExtremes{}, {{1, 4, 5, 3}}, {1, 4, 2}), 3);
  ASSERT_TRUE(images.ok()) << images.error().message;
  EXPECT_EQ(images->shape(TensorIndex{1}).ToString(), "3x4x2");
  const Result<Graph> ranges = WithBatch(OneLayer(QuantizationRange{}, {{1, 4, 2}}, {1, 1, 2}), 3);
  ASSERT_TRUE(ranges.ok()) << ranges.error().message;
  EXPECT_EQ(ranges->shape(TensorIndex{1}).ToString(), "3x1x2");
  const Result<Graph> matrix = WithBatch(OneLayer(RowExtremes{}, {{1, 8}}, {1, 1, 2}), 3);
  ASSERT_FALSE(matrix.ok());
  EXPECT_EQ(matrix.error().code, Code::kUnsupported);
  EXPECT_NE(matrix.error().message.find("one range over the batch"), std::string::npos);
}

TEST(WithBatch, LengthensAxis0OfEveryTensorAndPort) {
  Graph graph = OneLayer(Pointwise(7), {{1, 4, 5, 3}}, {1, 4, 5, 7});
  graph.inputs[0].shape = {1, 3, 4, 5};
  graph.inputs[0].perm = {0, 2, 3, 1};
  const Result<Graph> eight = WithBatch(graph, 8);
  ASSERT_TRUE(eight.ok()) << eight.error().message;
  EXPECT_EQ(eight->shape(TensorIndex{0}).ToString(), "8x4x5x3");
  EXPECT_EQ(eight->shape(TensorIndex{1}).ToString(), "8x4x5x7");
  EXPECT_EQ(eight->inputs[0].shape.ToString(), "8x3x4x5");
  EXPECT_EQ(eight->outputs[0].shape.ToString(), "8x4x5x7");
  EXPECT_EQ(WithBatch(*eight, 3)->shape(TensorIndex{0}).ToString(), "24x4x5x3");
  EXPECT_EQ(WithBatch(graph, 1)->shape(TensorIndex{0}).ToString(), "1x4x5x3");
}

TEST(WithBatch, TakesWhatKeepsInputsApart) {
  const std::vector<Graph> graphs = {
      OneLayer(Dense{5}, {{1, 8}}, {1, 5}),
      OneLayer(MatMul{}, {{2, 3, 4}, {2, 4, 5}}, {2, 3, 5}),
      OneLayer(MatMul{}, {{1, 6, 3, 4}, {1, 1, 4, 5}}, {1, 6, 3, 5}),
      OneLayer(Reduce{ReduceKind::kMean, {1, 2}}, {{1, 4, 4, 3}}, {1, 1, 1, 3}),
      OneLayer(Softmax{1}, {{1, 10}}, {1, 10}),
      OneLayer(Binary{}, {{1, 4, 4, 3}, {1, 1, 1, 3}}, {1, 4, 4, 3}),
      OneLayer(WithConstant({4, 3}), {{1, 4, 4, 3}}, {1, 4, 4, 3}),
      OneLayer(WithConstant({1, 4, 4, 3}), {{1, 4, 4, 3}}, {1, 4, 4, 3}),
      OneLayer(Concat{1}, {{1, 4, 4, 3}, {1, 2, 4, 3}}, {1, 6, 4, 3}),
      OneLayer(SliceOf(3, 1, 4), {{1, 4, 4, 3}}, {1, 4, 4, 2}),
      OneLayer(Transpose{{0, 2, 1}}, {{1, 4, 6}}, {1, 6, 4}),
      OneLayer(PadOf(1, 4), {{1, 4, 4, 3}}, {1, 5, 4, 3}),
      // Folded or not, element order stays input after input.
      OneLayer(Reshape{}, {{1, 4, 4, 3}}, {16, 3}),
      OneLayer(Reshape{}, {{1, 12, 4}}, {3, 4, 4}),
  };
  for (const Graph& graph : graphs) {
    const Result<Graph> batched = WithBatch(graph, 3);
    ASSERT_TRUE(batched.ok()) << batched.error().message;
    for (size_t i = 0; i < graph.tensors.size(); ++i) {
      EXPECT_EQ(batched->tensors[i].shape[0], 3 * graph.tensors[i].shape[0]);
    }
  }
}

struct RefusedCase {
  const char* why;
  Graph graph;
};

TEST(WithBatch, RefusesWhatMixesInputsAndNamesIt) {
  const std::vector<RefusedCase> cases = {
      {"has no batch axis", OneLayer(Unary{}, {{12}}, {12})},
      {"without a batch axis", OneLayer(MatMul{}, {{3, 4}, {4, 5}}, {3, 5})},
      {"broadcasts", OneLayer(MatMul{}, {{6, 3, 4}, {1, 4, 5}}, {6, 3, 5})},
      {"broadcasts", OneLayer(Binary{}, {{2, 4, 4, 3}, {1, 4, 4, 3}}, {2, 4, 4, 3})},
      {"constant with a batch axis",
       OneLayer(WithConstant({2, 4, 4, 3}), {{2, 4, 4, 3}}, {2, 4, 4, 3})},
      {"joins", OneLayer(Concat{0}, {{1, 4, 4, 3}, {1, 4, 4, 3}}, {2, 4, 4, 3})},
      {"cuts", OneLayer(SliceOf(0, 1, 4), {{2, 4, 4, 3}}, {1, 4, 4, 3})},
      {"moves", OneLayer(Transpose{{1, 0, 2}}, {{1, 4, 6}}, {4, 1, 6})},
      {"pads", OneLayer(PadOf(0, 4), {{1, 4, 4, 3}}, {2, 4, 4, 3})},
  };
  for (const RefusedCase& refused : cases) {
    const Result<Graph> batched = WithBatch(refused.graph, 2);
    ASSERT_FALSE(batched.ok()) << refused.why;
    EXPECT_EQ(batched.error().code, Code::kUnsupported);
    EXPECT_NE(batched.error().message.find(refused.why), std::string::npos)
        << batched.error().message;
    EXPECT_TRUE(WithBatch(refused.graph, 1).ok());
  }
}

TEST(WithBatch, NamesTheLayer) {
  const Result<Graph> batched =
      WithBatch(OneLayer(Transpose{{1, 0, 2}}, {{1, 4, 6}}, {4, 1, 6}), 2);
  ASSERT_FALSE(batched.ok());
  EXPECT_EQ(batched.error().message,
            "Transpose 'layer' moves the batch axis: this network computes one input at a time; "
            "use batch 1");
}

TEST(WithBatch, RefusesPortsThatDoNotBeginWithTheBatch) {
  Graph graph = OneLayer(Unary{}, {{1, 4, 6}}, {1, 4, 6});
  graph.outputs[0].shape = {4, 1, 6};
  graph.outputs[0].perm = {1, 0, 2};
  ASSERT_TRUE(Verify(graph).ok()) << Verify(graph).error().message;
  EXPECT_EQ(WithBatch(graph, 2).error().code, Code::kUnsupported);
}

TEST(WithBatch, HasLimits) {
  const Graph graph = OneLayer(Unary{}, {{1, 4, 6}}, {1, 4, 6});
  EXPECT_TRUE(WithBatch(graph, kMaxBatch).ok());
  EXPECT_EQ(WithBatch(graph, 0).error().code, Code::kInvalidArgument);
  EXPECT_EQ(WithBatch(graph, kMaxBatch + 1).error().code, Code::kInvalidArgument);
  const Graph large = OneLayer(Unary{}, {{1 << 20, 2}}, {1 << 20, 2});
  EXPECT_EQ(WithBatch(large, 200).error().code, Code::kUnsupported);
}

TEST(Convoy, IsTheGraphItselfForOneInput) {
  const Graph graph = OneLayer(Unary{}, {{1, 4, 6}}, {1, 4, 6});
  const Convoy one(graph);
  EXPECT_EQ(&one.one(), &graph);
  EXPECT_EQ(&one.all(), &graph);
  const Result<Convoy> four = Convoy::Make(graph, 4);
  ASSERT_TRUE(four.ok());
  EXPECT_EQ(&four->one(), &graph);
  EXPECT_EQ(four->batch(), 4U);
  EXPECT_EQ(four->all().shape(TensorIndex{0}).ToString(), "4x4x6");
}

}  // namespace
}  // namespace coracle::graph

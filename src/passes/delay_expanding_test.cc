#include "passes/delay_expanding.h"

#include <gtest/gtest.h>

#include <string>

#include "graph/verify.h"

namespace coracle::passes {
namespace {

graph::TensorIndex Add(graph::Graph& graph, const char* name, graph::Attributes attrs,
                       std::vector<graph::TensorIndex> inputs, Shape shape) {
  graph::Node node;
  node.name = name;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.output = graph.AddTensor(name, shape);
  const graph::TensorIndex output = node.output;
  graph.AddNode(std::move(node));
  return output;
}

TEST(DelayExpandingTest, UpsamplingsWaitForTheirConsumer) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  const graph::TensorIndex x = graph.AddTensor("x", Shape{1, 4, 4, 8});
  graph.inputs.push_back({"x", x, Shape{1, 4, 4, 8}, {0, 1, 2, 3}});
  graph::Resize twice;
  twice.scale_h = twice.scale_w = 2;
  const graph::TensorIndex up = Add(graph, "up", twice, {x}, Shape{1, 8, 8, 8});
  graph::Unary unary;
  const graph::TensorIndex a = Add(graph, "a", unary, {x}, Shape{1, 4, 4, 8});
  const graph::TensorIndex b = Add(graph, "b", unary, {a}, Shape{1, 4, 4, 8});
  const graph::TensorIndex up_b = Add(graph, "up_b", twice, {b}, Shape{1, 8, 8, 8});
  const graph::TensorIndex y = Add(graph, "y", graph::Concat{3}, {up, up_b}, Shape{1, 8, 8, 16});
  graph.outputs.push_back({"y", y, Shape{1, 8, 8, 16}, {0, 1, 2, 3}});
  ASSERT_TRUE(graph::Verify(graph).ok());
  DelayExpandingNodes(graph);
  std::string order;
  for (const graph::Node& node : graph.nodes) order += node.name + " ";
  EXPECT_EQ(order, "a b up_b up y ");
  EXPECT_TRUE(graph::Verify(graph).ok());
}

}  // namespace
}  // namespace coracle::passes

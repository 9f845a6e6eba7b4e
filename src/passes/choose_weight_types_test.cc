#include "passes/choose_weight_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "graph/verify.h"

namespace coracle::passes {
namespace {

using graph::Graph;
using graph::NodeIndex;
using graph::TensorIndex;
using graph::WeightType;

/// A network in rows whose layers have random weights.
class Network {
 public:
  explicit Network(const Shape& input) {
    graph_.stage = graph::Stage::kRows;
    last_ = graph_.AddTensor("x", input);
    graph_.inputs.push_back({"x", last_, input, Identity(input)});
  }

  NodeIndex Conv(uint32_t kernel, uint32_t outputs, uint32_t groups = 1) {
    const Shape in = graph_.shape(last_);
    graph::Conv conv{.window = {}, .groups = groups, .out_channels = outputs};
    conv.window = {.kernel_h = kernel, .kernel_w = kernel};
    conv.window.pad_top = conv.window.pad_bottom = conv.window.pad_left = conv.window.pad_right =
        kernel / 2;
    const Shape weight{outputs, in[3] / groups, kernel, kernel};
    return Add(conv, Shape{in[0], in[1], in[2], outputs}, weight);
  }
  NodeIndex Dense(uint32_t outputs) {
    Shape out = graph_.shape(last_);
    const uint32_t inputs = out.Back(0);
    out.Set(out.rank() - 1, outputs);
    return Add(graph::Dense{outputs}, out, Shape{inputs, outputs});
  }
  Graph Finish() {
    const Shape& out = graph_.shape(last_);
    graph_.outputs.push_back({"y", last_, out, Identity(out)});
    const Status status = graph::Verify(graph_);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return graph_;
  }
  float* Weights(NodeIndex node) { return weights_[Position(node)]->data(); }

 private:
  static std::vector<uint32_t> Identity(const Shape& shape) {
    std::vector<uint32_t> perm;
    for (uint32_t axis = 0; axis < shape.rank(); ++axis) perm.push_back(axis);
    return perm;
  }
  NodeIndex Add(graph::Attributes attrs, const Shape& out, const Shape& weight) {
    graph::Node node;
    node.name = "layer" + std::to_string(graph_.nodes.size());
    node.attrs = std::move(attrs);
    node.inputs = {last_};
    last_ = node.output = graph_.AddTensor(node.name, out);
    std::mt19937 random(static_cast<uint32_t>(graph_.nodes.size()));
    std::normal_distribution<float> normal(0, 0.1F);
    weights_.push_back(std::make_shared<std::vector<float>>(weight.Elements()));
    for (float& value : *weights_.back()) value = normal(random);
    auto constant = std::make_shared<graph::Constant>();
    constant->shape = weight;
    constant->bytes = std::as_bytes(std::span(*weights_.back()));
    constant->owner = weights_.back();
    auto source = std::make_shared<graph::WeightSource>();
    source->weight = constant;
    node.source = source;
    return graph_.AddNode(std::move(node));
  }

  Graph graph_;
  TensorIndex last_{};
  std::vector<std::shared_ptr<std::vector<float>>> weights_;
};

WeightType TypeOf(const Graph& graph, NodeIndex node) { return graph.node(node).weight_type; }

TEST(ChooseWeightTypes, AutoTakesLayersThatAreShortOfArithmetic) {
  Network network(Shape{1, 56, 56, 64});
  const NodeIndex large_map = network.Conv(3, 64);
  Graph many_rows = network.Finish();
  ASSERT_TRUE(ChooseWeightTypes(many_rows, WeightChoice::kAuto, 0.1).ok());
  EXPECT_EQ(TypeOf(many_rows, large_map), WeightType::kFloat32);

  Network late(Shape{1, 7, 7, 512});
  const NodeIndex projection = late.Conv(1, 2048);
  const NodeIndex dense = late.Dense(1000);
  Graph few_rows = late.Finish();
  const auto chosen = ChooseWeightTypes(few_rows, WeightChoice::kAuto, 0.1);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->size(), 2U);
  EXPECT_EQ(TypeOf(few_rows, projection), WeightType::kInt8);
  EXPECT_EQ(TypeOf(few_rows, dense), WeightType::kInt8);
  EXPECT_TRUE(graph::Verify(few_rows).ok());
}

TEST(ChooseWeightTypes, AutoStaysWithinTheErrorBudget) {
  Network network(Shape{1, 1, 1, 256});
  for (int i = 0; i < 10; ++i) network.Dense(256);
  const Graph plain = network.Finish();
  size_t before = 0;
  for (const double most : {0.0, 0.012, 0.02, 1.0}) {
    Graph graph = plain;
    const auto chosen = ChooseWeightTypes(graph, WeightChoice::kAuto, most);
    ASSERT_TRUE(chosen.ok());
    EXPECT_LE(EstimatedError(*chosen), most);
    EXPECT_GE(chosen->size(), before);
    before = chosen->size();
    size_t quantized = 0;
    for (const graph::Node& node : graph.nodes) {
      quantized += node.weight_type == WeightType::kInt8 ? 1 : 0;
    }
    EXPECT_EQ(quantized, chosen->size());
  }
  EXPECT_EQ(before, 10U);
}

TEST(ChooseWeightTypes, TypesAskedForGoWhereTheyAreAllowed) {
  Network network(Shape{1, 14, 14, 32});
  const NodeIndex conv = network.Conv(3, 32);
  const NodeIndex depthwise = network.Conv(3, 32, 32);
  const NodeIndex narrow_groups = network.Conv(3, 32, 8);
  const NodeIndex dense = network.Dense(64);
  const Graph plain = network.Finish();
  Graph int8 = plain;
  ASSERT_TRUE(ChooseWeightTypes(int8, WeightChoice::kInt8, 0).ok());
  EXPECT_EQ(TypeOf(int8, conv), WeightType::kInt8);
  EXPECT_EQ(TypeOf(int8, dense), WeightType::kInt8);
  Graph int4 = plain;
  ASSERT_TRUE(ChooseWeightTypes(int4, WeightChoice::kInt4, 0).ok());
  EXPECT_EQ(TypeOf(int4, conv), WeightType::kInt8);
  EXPECT_EQ(TypeOf(int4, dense), WeightType::kInt4);
  for (const Graph* graph : {&int8, &int4}) {
    EXPECT_EQ(TypeOf(*graph, depthwise), WeightType::kFloat32);
    EXPECT_EQ(TypeOf(*graph, narrow_groups), WeightType::kFloat32);
  }
}

TEST(ChooseWeightTypes, WeightsThatAreNoNumbersAreRefusedOrLeftAlone) {
  Network network(Shape{1, 1, 1, 64});
  const NodeIndex bad = network.Dense(64);
  const NodeIndex good = network.Dense(64);
  network.Weights(bad)[100] = std::numeric_limits<float>::quiet_NaN();
  const Graph plain = network.Finish();
  for (const WeightChoice choice : {WeightChoice::kInt8, WeightChoice::kInt4}) {
    Graph graph = plain;
    const auto refused = ChooseWeightTypes(graph, choice, 0);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("layer0"), std::string::npos);
  }
  Graph graph = plain;
  ASSERT_TRUE(ChooseWeightTypes(graph, WeightChoice::kAuto, 1).ok());
  EXPECT_EQ(TypeOf(graph, bad), WeightType::kFloat32);
  EXPECT_EQ(TypeOf(graph, good), WeightType::kInt8);
}

}  // namespace
}  // namespace coracle::passes

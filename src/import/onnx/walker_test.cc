#include "import/onnx/walker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using ::testing::HasSubstr;

onnx::TensorProto Scalar(int32_t type, int64_t value) {
  onnx::TensorProto tensor;
  tensor.set_data_type(type);
  if (type == onnx::TensorProto::INT64) {
    tensor.add_int64_data(value);
  } else {
    tensor.add_int32_data(static_cast<int32_t>(value));
  }
  return tensor;
}

void AddScalar(TestModel& model, const std::string& name, int32_t type, int64_t value) {
  onnx::TensorProto tensor = Scalar(type, value);
  tensor.set_name(name);
  *model.graph().add_initializer() = tensor;
}

/// A graph of one node whose output is the graph's.
onnx::GraphProto OneNode(const std::string& type, const std::string& input,
                         const std::string& output) {
  onnx::GraphProto graph;
  auto* node = graph.add_node();
  node->set_op_type(type);
  node->add_input(input);
  node->add_output(output);
  graph.add_output()->set_name(output);
  return graph;
}

void SetGraph(onnx::NodeProto& node, const std::string& name, const onnx::GraphProto& graph) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::GRAPH);
  *attribute->mutable_g() = graph;
}

TEST(OnnxWalker, TakesTheBranchOfAConstantCondition) {
  for (const bool condition : {true, false}) {
    TestModel model;
    model.Input("x", {4});
    AddScalar(model, "c", onnx::TensorProto::BOOL, condition ? 1 : 0);
    onnx::NodeProto& choice = model.Node("If", {"c"}, {"y"});
    SetGraph(choice, "then_branch", OneNode("Relu", "x", "t"));
    SetGraph(choice, "else_branch", OneNode("Abs", "x", "e"));
    model.Output("y");
    const auto imported = model.Import();
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    ASSERT_EQ(imported->graph.nodes.size(), 1U);
    EXPECT_EQ(imported->graph.nodes[0].activation.kind,
              condition ? graph::ActivationKind::kRelu : graph::ActivationKind::kAbs);
  }
}

TEST(OnnxWalker, RefusesAConditionThatTheNetworkComputes) {
  TestModel model;
  model.Input("x", {1});
  onnx::NodeProto& choice = model.Node("If", {"x"}, {"y"});
  SetGraph(choice, "then_branch", OneNode("Relu", "x", "t"));
  SetGraph(choice, "else_branch", OneNode("Abs", "x", "e"));
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_FALSE(imported.ok());
  EXPECT_THAT(imported.error().message, HasSubstr("condition depends on the network's input"));
}

TestModel LoopModel(int64_t trips) {
  TestModel model;
  model.Input("x", {4});
  AddScalar(model, "trips", onnx::TensorProto::INT64, trips);
  onnx::GraphProto body = OneNode("Identity", "go_on", "still");
  auto* node = body.add_node();
  node->set_op_type("Relu");
  node->add_input("value");
  node->add_output("next");
  body.add_output()->set_name("next");
  for (const char* name : {"i", "go_on", "value"}) body.add_input()->set_name(name);
  SetGraph(model.Node("Loop", {"trips", "", "x"}, {"y"}), "body", body);
  model.Output("y");
  return model;
}

TEST(OnnxWalker, UnrollsLoops) {
  const auto imported = LoopModel(3).Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ(imported->graph.nodes.size(), 3U);
  const auto endless = LoopModel(1'000'000).Import();
  ASSERT_FALSE(endless.ok());
  EXPECT_THAT(endless.error().message, HasSubstr("runs more than 1024 times"));
}

TEST(OnnxWalker, FoldsTheShapeArithmeticOfExporters) {
  // Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0)), [-1]))
  TestModel model(11);
  model.Input("x", {2, 3, 4});
  AddScalar(model, "zero", onnx::TensorProto::INT64, 0);
  model.Ints("rest", {-1});
  model.Node("Shape", {"x"}, {"shape"});
  SetInt(model.Node("Gather", {"shape", "zero"}, {"batch"}), "axis", 0);
  SetInts(model.Node("Unsqueeze", {"batch"}, {"batches"}), "axes", {0});
  SetInt(model.Node("Concat", {"batches", "rest"}, {"target"}), "axis", 0);
  model.Node("Reshape", {"x", "target"}, {"y"});
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  ASSERT_EQ(imported->graph.nodes.size(), 1U);
  EXPECT_EQ(imported->graph.outputs[0].shape, Shape({2, 12}));
}

TEST(OnnxWalker, RefusesAConstantOutput) {
  TestModel model;
  model.Input("x", {2, 3, 4});
  model.Node("Shape", {"x"}, {"y"});
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_FALSE(imported.ok());
  EXPECT_THAT(imported.error().message, HasSubstr("does not depend on any input"));
}

}  // namespace
}  // namespace coracle::import

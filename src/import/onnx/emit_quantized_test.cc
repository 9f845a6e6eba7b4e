// Quantised operators: what they become, and what is refused.
#include <gtest/gtest.h>

#include "graph/dump.h"
#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using graph::Node;
using graph::OpKind;
using graph::WeightType;

Result<ImportedModel> Imported(const TestModel& model) { return model.Import(); }

graph::Graph GraphOf(const TestModel& model) {
  Result<ImportedModel> imported = Imported(model);
  EXPECT_TRUE(imported.ok()) << imported.error().message;
  return imported.ok() ? std::move(imported->graph) : graph::Graph{};
}

void ExpectRefused(const TestModel& model, Code code, const std::string& part) {
  const auto imported = Imported(model);
  ASSERT_FALSE(imported.ok()) << part;
  EXPECT_EQ(imported.error().code, code) << imported.error().message;
  EXPECT_NE(imported.error().message.find(part), std::string::npos) << imported.error().message;
}

const Node& NodeOf(const graph::Graph& graph, OpKind kind) {
  static const Node kNone;
  for (const Node& node : graph.nodes) {
    if (node.kind() == kind) return node;
  }
  ADD_FAILURE() << "no " << graph::OpName(kind) << " in\n" << graph::Dump(graph);
  return kNone;
}

/// x [1,2,4,4], quantised as `type` with scale 1/2 and zero point 3: "q".
TestModel QuantizedInput(int type) {
  TestModel model;
  model.Input("x", {1, 2, 4, 4}).Floats("half", {}, {0.5F}).Integers("zero", type, {}, {3});
  model.Node("QuantizeLinear", {"x", "half", "zero"}, {"q"});
  return model;
}

TestModel QLinearConv(int type, int64_t weight_zero) {
  TestModel model = QuantizedInput(type);
  model.Integers("w", type, {2, 2, 1, 1}, {1, 2, 3, 100});
  model.Floats("ws", {2}, {0.25F, 3}).Integers("wz", type, {2}, {weight_zero, 9});
  model.Floats("ys", {}, {0.7F}).Integers("yz", type, {}, {11});
  model.Integers("b", onnx::TensorProto::INT32, {2}, {1000, -5});
  model.Node("QLinearConv", {"q", "half", "zero", "w", "ws", "wz", "ys", "yz", "b"}, {"y"});
  model.Node("DequantizeLinear", {"y", "ys", "yz"}, {"out"});
  model.Output("out");
  return model;
}

std::vector<int8_t> WeightOf(const Node& node) {
  const Bytes bytes = node.source->weight->bytes;
  std::vector<int8_t> values;
  for (const std::byte byte : bytes) values.push_back(static_cast<int8_t>(byte));
  return values;
}

TEST(EmitQuantized, Int8ActivationsGainAHundredAndTwentyEight) {
  const graph::Graph graph = GraphOf(QLinearConv(onnx::TensorProto::INT8, -4));
  const Node& conv = NodeOf(graph, OpKind::kConv);
  EXPECT_EQ(conv.weight_type, WeightType::kDot8);
  EXPECT_EQ(conv.integer, (graph::IntegerSums{{}, 131, {1, 139}}));
  EXPECT_EQ(WeightOf(conv), (std::vector<int8_t>{1, 2, 3, 100}));
  EXPECT_EQ(conv.source->weight_zero, (std::vector<int32_t>{-4, 9}));
  EXPECT_EQ(conv.source->integer_bias, (std::vector<int32_t>{1000, -5}));
  EXPECT_EQ(conv.source->scale, (std::vector<float>{(0.5F * 0.25F) / 0.7F, (0.5F * 3) / 0.7F}));
  EXPECT_EQ(std::get<graph::Quantize>(NodeOf(graph, OpKind::kQuantize).attrs).out.zero, 131);
  EXPECT_EQ(std::get<graph::Dequantize>(NodeOf(graph, OpKind::kDequantize).attrs).in.zero, 139);
}

TEST(EmitQuantized, Uint8WeightsLoseAHundredAndTwentyEight) {
  const graph::Graph graph = GraphOf(QLinearConv(onnx::TensorProto::UINT8, 4));
  const Node& conv = NodeOf(graph, OpKind::kConv);
  EXPECT_EQ(conv.integer, (graph::IntegerSums{{}, 3, {1, 11}}));
  EXPECT_EQ(WeightOf(conv), (std::vector<int8_t>{-127, -126, -125, -28}));
  EXPECT_EQ(conv.source->weight_zero, (std::vector<int32_t>{-124, -119}));
}

TEST(EmitQuantized, PortsAreFloats) {
  TestModel model;
  model.Input("x", {1, 2, 4, 4});
  model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT8);
  model.Node("MaxPool", {"x"}, {"y"});
  SetInts(*model.graph().mutable_node(0), "kernel_shape", {2, 2});
  model.Output("y");
  const graph::Graph graph = GraphOf(model);
  const graph::Quantization plain{1, 128};
  EXPECT_EQ(std::get<graph::Quantize>(NodeOf(graph, OpKind::kQuantize).attrs).out, plain);
  EXPECT_EQ(std::get<graph::Dequantize>(NodeOf(graph, OpKind::kDequantize).attrs).in, plain);
  EXPECT_EQ(graph.tensor(NodeOf(graph, OpKind::kPool).output).dtype, DType::kUint8);
}

TEST(EmitQuantized, DequantizedWeightsRememberTheirIntegers) {
  TestModel model;
  model.Input("x", {1, 2, 4, 4}).Floats("ws", {2}, {0.25F, 3});
  model.Integers("w", onnx::TensorProto::INT8, {2, 2, 1, 1}, {1, 2, 3, 100});
  model.Integers("wz", onnx::TensorProto::INT8, {2}, {0, 9});
  SetInt(model.Node("DequantizeLinear", {"w", "ws", "wz"}, {"wf"}), "axis", 0);
  model.Node("Conv", {"x", "wf"}, {"y"});
  model.Output("y");
  const graph::Graph graph = GraphOf(model);
  const Node& conv = NodeOf(graph, OpKind::kConv);
  const graph::Constant& weight = *conv.source->weight;
  EXPECT_EQ(weight.dtype, DType::kFloat32);
  ASSERT_NE(weight.from, nullptr);
  EXPECT_EQ(weight.from->axis, 0U);
  EXPECT_EQ(weight.from->zero, (std::vector<int32_t>{0, 9}));
  EXPECT_EQ(reinterpret_cast<const float*>(weight.bytes.data())[3], 273);
}

TEST(EmitQuantized, ARangeServesAllReaders) {
  TestModel model;
  model.Input("x", {2, 2, 4, 4})
      .Integers("w", onnx::TensorProto::UINT8, {2, 2, 1, 1}, {1, 2, 3, 4});
  model.Node("DynamicQuantizeLinear", {"x"}, {"q", "s", "z"});
  model.Node("ConvInteger", {"q", "w", "z"}, {"sums"});
  SetInt(model.Node("Cast", {"sums"}, {"y"}), "to", onnx::TensorProto::FLOAT);
  model.Node("DequantizeLinear", {"q", "s", "z"}, {"back"});
  for (const char* name : {"y", "back", "s", "z"}) model.Output(name);
  const graph::Graph graph = GraphOf(model);
  const Node& conv = NodeOf(graph, OpKind::kConv);
  EXPECT_EQ(conv.integer.in_source, graph::QuantizationSource::kTensor);
  EXPECT_EQ(graph.shape(conv.inputs[1]), (Shape{2, 1, 2}));
  // ONNX has one range for a batch.
  EXPECT_EQ(graph.shape(NodeOf(graph, OpKind::kQuantizationRange).output), (Shape{1, 1, 2}));
}

TEST(EmitQuantized, RefusesWhatItCannotComputeExactly) {
  const int kUint8 = onnx::TensorProto::UINT8;
  TestModel wide;
  wide.Input("a", {4, 259})
      .Input("b", {259, 3})
      .Floats("s", {}, {1})
      .Integers("z", kUint8, {}, {0});
  wide.Node("QuantizeLinear", {"a", "s", "z"}, {"qa"});
  wide.Node("QuantizeLinear", {"b", "s", "z"}, {"qb"});
  wide.Node("MatMulInteger", {"qa", "qb"}, {"y"});
  wide.Output("y");
  ExpectRefused(wide, Code::kUnsupported, "259 products in a sum, at most 258");

  TestModel sums = QuantizedInput(kUint8);
  sums.Integers("w", kUint8, {2, 2, 1, 1}, {1, 2, 3, 4});
  sums.Node("ConvInteger", {"q", "w"}, {"sums"});
  sums.Node("Add", {"sums", "sums"}, {"y"});
  sums.Output("y");
  ExpectRefused(sums, Code::kUnsupported, "arithmetic on integers");

  TestModel relu = QuantizedInput(kUint8);
  relu.Node("Relu", {"q"}, {"y"});
  relu.Output("y");
  ExpectRefused(relu, Code::kInvalidArgument, "takes no quantised input");

  TestModel zero = QuantizedInput(kUint8);
  zero.Integers("w", kUint8, {2, 2, 1, 1}, {1, 2, 3, 4}).Input("z", {1});
  zero.Node("ConvInteger", {"q", "w", "z"}, {"y"});
  zero.Output("y");
  ExpectRefused(zero, Code::kUnsupported, "neither constant nor of a DynamicQuantizeLinear");
}

TEST(EmitQuantized, RefusesContradictions) {
  TestModel scales = QuantizedInput(onnx::TensorProto::UINT8);
  scales.Floats("none", {}, {0});
  scales.Node("DequantizeLinear", {"q", "none"}, {"y"});
  scales.Output("y");
  ExpectRefused(scales, Code::kMalformed, "must be positive and finite");

  TestModel types = QuantizedInput(onnx::TensorProto::UINT8);
  types.Integers("other", onnx::TensorProto::INT8, {}, {3});
  types.Node("DequantizeLinear", {"q", "half", "other"}, {"y"});
  types.Output("y");
  ExpectRefused(types, Code::kMalformed, "zero point is not of its input's type");

  TestModel floats;
  floats.Input("x", {4}).Floats("s", {}, {1});
  floats.Node("DequantizeLinear", {"x", "s"}, {"y"});
  floats.Output("y");
  ExpectRefused(floats, Code::kMalformed, "is not quantised");
}

}  // namespace
}  // namespace coracle::import

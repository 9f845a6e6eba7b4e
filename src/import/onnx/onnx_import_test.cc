#include "import/onnx/onnx_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Import must fail with `code` and one line that holds `text`.
void ExpectRefused(const Result<ImportedModel>& result, Code code, const std::string& text) {
  ASSERT_FALSE(result.ok()) << "expected: " << text;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(text));
  EXPECT_THAT(result.error().message, Not(HasSubstr("\n")));
}

TestModel ReluModel() {
  TestModel model;
  model.Input("x", {1, 3, 4, 4});
  model.Node("Relu", {"x"}, {"y"});
  model.Output("y");
  return model;
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = std::filesystem::temp_directory_path() /
            ("coracle_onnx_" + std::to_string(getpid()) + "_" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(OnnxImport, MakesTheGraphOfAModel) {
  const Result<ImportedModel> model = ReluModel().Import();
  ASSERT_TRUE(model.ok()) << model.error().message;
  const graph::Graph& graph = model->graph;
  EXPECT_EQ(graph.stage, graph::Stage::kLogical);
  ASSERT_EQ(graph.nodes.size(), 1U);
  EXPECT_EQ(graph.nodes[0].activation.kind, graph::ActivationKind::kRelu);
  EXPECT_EQ(graph.inputs.at(0).name, "x");
  EXPECT_EQ(graph.outputs.at(0).name, "y");
  EXPECT_EQ(graph.outputs.at(0).shape, Shape({1, 3, 4, 4}));
  EXPECT_EQ(model->decode_json, "");
}

TEST(OnnxImport, OpensFilesAndNamesThem) {
  const TemporaryDirectory directory;
  const std::string path = directory.Write("relu.onnx", ReluModel().Serialized());
  EXPECT_TRUE(ImportOnnx(path, {}).ok());
  const std::string cut = ReluModel().Serialized();
  const std::string cut_path = directory.Write("cut.onnx", cut.substr(0, cut.size() - 3));
  ExpectRefused(ImportOnnx(cut_path, {}), Code::kMalformed, "cut short");
  EXPECT_THAT(ImportOnnx(cut_path, {}).error().message, StartsWith(cut_path));
  ExpectRefused(ImportOnnx(directory.Write("empty", ""), {}), Code::kMalformed, "is empty");
  ExpectRefused(ImportOnnx(directory.path(), {}), Code::kInvalidArgument, "is a directory");
  ExpectRefused(ImportOnnx(directory.path() + "/none", {}), Code::kNotFound, "none");
  ExpectRefused(ImportOnnx(directory.Write("text", "hello, world"), {}), Code::kMalformed,
                "not an ONNX model");
}

TEST(OnnxImport, OpenDimensionsNeedAShape) {
  TestModel model;
  model.Input("x", {0, 3, 4, 4});
  model.Node("Relu", {"x"}, {"y"});
  model.Output("y");
  ExpectRefused(model.Import(), Code::kInvalidArgument, "--shape x=1x3x224x224");
  EXPECT_THAT(model.Import().error().message, HasSubstr("'N,3,4,4'"));
  const auto fixed = model.Import({.shapes = {{"x", {2, 3, 4, 4}}}});
  ASSERT_TRUE(fixed.ok()) << fixed.error().message;
  EXPECT_EQ(fixed->graph.outputs[0].shape, Shape({2, 3, 4, 4}));
  ExpectRefused(model.Import({.shapes = {{"x", {2, 4, 4, 4}}}}), Code::kInvalidArgument,
                "does not fit");
  ExpectRefused(model.Import({.shapes = {{"x", {2, 3, 4}}}}), Code::kInvalidArgument,
                "does not fit");
  ExpectRefused(model.Import({.shapes = {{"x", {0, 3, 4, 4}}}}), Code::kInvalidArgument,
                "dimension of 0");
  ExpectRefused(model.Import({.shapes = {{"z", {1}}}}), Code::kInvalidArgument, "inputs: 'x'");
}

TEST(OnnxImport, RefusesWrongDimensions) {
  TestModel huge;
  huge.Input("x", {1, 3, 10'000'000'000, 4});
  huge.Node("Relu", {"x"}, {"y"});
  huge.Output("y");
  ExpectRefused(huge.Import(), Code::kUnsupported, "dimension 10000000000");
  TestModel negative;
  negative.Input("x", {1, -7, 4});
  negative.Node("Relu", {"x"}, {"y"});
  negative.Output("y");
  ExpectRefused(negative.Import(), Code::kMalformed, "dimension of -7");
  TestModel product;
  product.Input("x", {1 << 20, 1 << 20, 1 << 20});
  product.Node("Relu", {"x"}, {"y"});
  product.Output("y");
  ExpectRefused(product.Import(), Code::kUnsupported, "elements");
}

TEST(OnnxImport, RefusesWrongGraphs) {
  TestModel cycle;
  cycle.Input("x", {4});
  cycle.Node("Add", {"x", "b"}, {"a"});
  cycle.Node("Relu", {"a"}, {"b"});
  cycle.Output("b");
  ExpectRefused(cycle.Import(), Code::kMalformed, "depends on its own output");

  TestModel twins = ReluModel();
  twins.Node("Relu", {"x"}, {"y"});
  ExpectRefused(twins.Import(), Code::kMalformed, "two definitions of 'y'");

  TestModel unknown;
  unknown.Input("x", {4});
  unknown.Node("Add", {"x", "no\nsuch"}, {"y"});
  unknown.Output("y");
  ExpectRefused(unknown.Import(), Code::kMalformed, "'no?such', which nothing defines");

  TestModel nothing = ReluModel();
  nothing.graph().clear_output();
  ExpectRefused(nothing.Import(), Code::kMalformed, "no outputs");

  TestModel stray = ReluModel();
  stray.Output("elsewhere");
  ExpectRefused(stray.Import(), Code::kMalformed, "nothing defines output 'elsewhere'");
}

TEST(OnnxImport, RefusesUnknownOperatorsByName) {
  TestModel model;
  model.Input("x", {4});
  model.Node("Foo", {"x"}, {"y"});
  model.Output("y");
  ExpectRefused(model.Import(), Code::kUnsupported,
                "operator 'Foo' (node 'node_y') is not supported; supported: Abs, Add");
  model.graph().mutable_node(0)->set_op_type("Relu");
  model.graph().mutable_node(0)->set_domain("com.example");
  ExpectRefused(model.Import(), Code::kUnsupported, "of domain 'com.example'");
  TestModel opset(99);
  opset.Input("x", {4});
  opset.Output("x");
  ExpectRefused(opset.Import(), Code::kUnsupported, "operator set 99");
}

TEST(OnnxImport, DeadNodesDoNotMatter) {
  TestModel model = ReluModel();
  model.Node("Foo", {"x"}, {"unused"});
  EXPECT_TRUE(model.Import().ok());
}

TEST(OnnxImport, SortsNodes) {
  TestModel model;
  model.Input("x", {4});
  model.Node("Relu", {"a"}, {"y"});
  model.Node("Abs", {"x"}, {"a"});
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ(imported->graph.nodes[0].name, "node_a");
}

TEST(OnnxImport, ConstantsViewTheMessageAndKeepNaN) {
  TestModel model;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  model.Input("x", {1, 2});
  model.Floats("w", {2, 2}, {1, nan, 3, 4});
  model.Node("MatMul", {"x", "w"}, {"y"});
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  const auto& weight = *imported->graph.nodes[0].source->weight;
  float values[4];
  ASSERT_EQ(weight.bytes.size(), sizeof(values));
  std::memcpy(values, weight.bytes.data(), sizeof(values));
  EXPECT_TRUE(std::isnan(values[1]));
  EXPECT_EQ(values[3], 4);
}

TEST(OnnxImport, RefusesConstantsThatContradictTheirDimensions) {
  TestModel model = ReluModel();
  model.Floats("w", {3}, {1, 2});
  ExpectRefused(model.Import(), Code::kMalformed, "constant 'w': 8 bytes of data, but 3");
  TestModel negative = ReluModel();
  negative.Floats("w", {-2}, {1, 2});
  ExpectRefused(negative.Import(), Code::kMalformed, "negative dimension -2");
  TestModel huge = ReluModel();
  huge.Floats("w", {10'000'000'000}, {1, 2});
  ExpectRefused(huge.Import(), Code::kUnsupported, "dimension 10000000000");
  TestModel overflow = ReluModel();
  overflow.Floats("w", {1 << 30, 1 << 30, 1 << 30}, {1});
  ExpectRefused(overflow.Import(), Code::kUnsupported, "elements");
}

/// x + w, w in an external file.
TestModel ExternalModel(const std::string& location, const std::string& offset) {
  TestModel model;
  model.Input("x", {2});
  onnx::TensorProto& tensor = *model.graph().add_initializer();
  tensor.set_name("w");
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(2);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  const auto add = [&](const std::string& key, const std::string& value) {
    auto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", location);
  add("offset", offset);
  add("length", "8");
  model.Node("Add", {"x", "w"}, {"y"});
  model.Output("y");
  return model;
}

TEST(OnnxImport, ReadsExternalDataInsideOfTheDirectoryOnly) {
  const TemporaryDirectory directory;
  const float values[] = {7, 8, 9, 10};
  directory.Write("w.bin", std::string(reinterpret_cast<const char*>(values), sizeof(values)));
  const auto good = ExternalModel("w.bin", "4").Import({}, directory.path());
  ASSERT_TRUE(good.ok()) << good.error().message;
  float first = 0;
  std::memcpy(&first, good->graph.nodes[0].source->weight->bytes.data(), 4);
  EXPECT_EQ(first, 8);
  EXPECT_TRUE(ExternalModel("w.bin", "5").Import({}, directory.path()).ok()) << "not aligned";
  ExpectRefused(ExternalModel("w.bin", "12").Import({}, directory.path()), Code::kMalformed,
                "too short");
  ExpectRefused(ExternalModel("w.bin", "18446744073709551615").Import({}, directory.path()),
                Code::kMalformed, "too short");
  ExpectRefused(ExternalModel("w.bin", "-1").Import({}, directory.path()), Code::kMalformed,
                "is no number");
  ExpectRefused(ExternalModel("none", "0").Import({}, directory.path()), Code::kNotFound, "none");
  for (const std::string outside : {"../w.bin", "a/../../w.bin", "/etc/hostname"}) {
    ExpectRefused(ExternalModel(outside, "0").Import({}, directory.path()), Code::kUnsupported,
                  "outside of the model's directory");
  }
  std::filesystem::create_symlink("/etc/hostname", directory.path() + "/link");
  ExpectRefused(ExternalModel("link", "0").Import({}, directory.path()), Code::kUnsupported,
                "outside of the model's directory");
  ExpectRefused(ExternalModel("w.bin", "0").Import(), Code::kUnsupported, "outside");
}

TEST(OnnxImport, WidensHalfPrecision) {
  TestModel model;
  model.Input("x", {3}, onnx::TensorProto::FLOAT16);
  onnx::TensorProto& tensor = *model.graph().add_initializer();
  tensor.set_name("w");
  tensor.set_data_type(onnx::TensorProto::FLOAT16);
  tensor.add_dims(3);
  for (const int bits : {0x3C00, 0xC000, 0x0001}) tensor.add_int32_data(bits);  // 1, -2, 2^-24
  model.Node("Add", {"x", "w"}, {"y"});
  model.Output("y");
  const auto imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  float values[3];
  std::memcpy(values, imported->graph.nodes[0].source->weight->bytes.data(), sizeof(values));
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], -2);
  EXPECT_EQ(values[2], std::ldexp(1.0F, -24));
}

TEST(OnnxImport, RefusesOtherInputTypes) {
  TestModel model;
  model.Input("tokens", {1, 4}, onnx::TensorProto::INT64);
  model.Node("Relu", {"tokens"}, {"y"});
  model.Output("y");
  ExpectRefused(model.Import(), Code::kUnsupported, "input 'tokens' has elements of type int64");
}

TEST(OnnxImport, SecondaryOutputsAreRefusedOnlyWhereUsed) {
  TestModel model;
  model.Input("x", {1, 1, 4, 4});
  SetInts(model.Node("MaxPool", {"x"}, {"y", "indices"}), "kernel_shape", {2, 2});
  model.Output("y");
  EXPECT_TRUE(model.Import().ok());
  model.Output("indices");
  ExpectRefused(model.Import(), Code::kUnsupported, "output 'indices'");
}

TEST(OnnxImport, PassedThroughAndSharedOutputsGetTheirOwnTensor) {
  TestModel model;
  model.Input("x", {4});
  model.Node("Identity", {"x"}, {"y"});
  model.Node("Identity", {"y"}, {"z"});
  model.Output("y");
  model.Output("z");
  const auto imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_NE(imported->graph.outputs[0].tensor, imported->graph.outputs[1].tensor);
}

}  // namespace
}  // namespace coracle::import

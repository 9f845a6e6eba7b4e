// Imports real files: ONNX's own test models (Debian: libonnx-testdata) and the models of the
// benchmarks, where they are there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "import/onnx/operators.h"
#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

namespace fs = std::filesystem;

const fs::path kTestData = "/usr/share/libonnx-testdata/data";

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Gives all inputs but the first the values of the test's own data, as initialisers: these tests
/// pass weights, axes and sizes as inputs.
bool BindFurtherInputs(const fs::path& directory, onnx::ModelProto& model) {
  for (int i = 1; i < model.graph().input_size(); ++i) {
    const fs::path file = directory / "test_data_set_0" / ("input_" + std::to_string(i) + ".pb");
    onnx::TensorProto tensor;
    if (!fs::exists(file) || !tensor.ParseFromString(ReadFile(file))) return false;
    tensor.set_name(model.graph().input(i).name());
    *model.mutable_graph()->add_initializer() = tensor;
  }
  return true;
}

Result<ImportedModel> ImportMessage(const onnx::ModelProto& model) {
  const std::string bytes = model.SerializeAsString();
  return ImportOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), "", {});
}

/// True if Coracle claims every operator of `graph`, on an input of floats or 8-bit integers.
bool IsClaimed(const onnx::GraphProto& graph) {
  if (graph.input_size() == 0 || graph.node_size() == 0) return false;
  if (!graph.input(0).type().has_tensor_type()) return false;
  const int type = graph.input(0).type().tensor_type().elem_type();
  const bool small = type == onnx::TensorProto::UINT8 || type == onnx::TensorProto::INT8;
  if (type != onnx::TensorProto::FLOAT && !small) return false;
  for (const onnx::NodeProto& node : graph.node()) {
    const OnnxOperator* entry = FindOnnxOperator(node.op_type());
    const bool emits = entry != nullptr && (entry->emit != nullptr || entry->emit_many != nullptr);
    if (node.op_type() != "Constant" && !emits) return false;
  }
  return true;
}

/// What Coracle leaves out on purpose, as its messages say it.
bool IsKnownGap(const std::string& message) {
  static const char* const kGaps[] = {
      "only N,C,H,W and N,C,W",          // three spatial axes
      "only inference with statistics",  // training
      "is in training mode",
      "is a secondary output",       // masks, indices
      "neither nearest nor linear",  // cubic
      "coordinate_transformation_mode is none",
      "only the axes after N and C",
      "its mode is none of constant",
      "has no fixed shape",  // empty and open inputs
      "its result is empty",
      "activations as ",  // casts to integers
      "has elements of type",
      "element type STRING",
      "must be a constant",
      "storage_order",
      "broadcasting along an axis",
      "peepholes",
      "takes no quantised input",  // arithmetic on 8-bit integers
      "a batch of constant matrices",
  };
  for (const char* gap : kGaps) {
    if (message.find(gap) != std::string::npos) return true;
  }
  return false;
}

TEST(OnnxFiles, ImportsOnnxOwnTests) {
  if (!fs::exists(kTestData)) GTEST_SKIP() << "libonnx-testdata is not installed";
  std::set<fs::path> directories;
  for (const char* part : {"node", "pytorch-converted", "pytorch-operator", "simple"}) {
    for (const auto& entry : fs::directory_iterator(kTestData / part)) {
      directories.insert(entry.path());
    }
  }
  int imported = 0;
  for (const fs::path& directory : directories) {
    onnx::ModelProto model;
    if (!model.ParseFromString(ReadFile(directory / "model.onnx"))) continue;
    if (!IsClaimed(model.graph())) continue;
    Result<ImportedModel> result = ImportMessage(model);
    if (!result.ok() && BindFurtherInputs(directory, model)) result = ImportMessage(model);
    const std::string message = result.ok() ? "" : result.error().message;
    EXPECT_TRUE(result.ok() || IsKnownGap(message)) << directory.filename() << ": " << message;
    if (result.ok()) ++imported;
  }
  EXPECT_GT(imported, 300);
}

TEST(OnnxFiles, ImportsTheModelsOfTheBenchmarks) {
  const char* set = std::getenv("CORACLE_ASSETS");
  const fs::path assets = set != nullptr ? set : "build/assets";
  if (!fs::exists(assets)) GTEST_SKIP() << assets << " is not there";
  const std::map<std::string, OnnxOptions> options = {
      {"ch_PP-OCRv4_det_infer.onnx", {.shapes = {{"x", {1, 3, 640, 640}}}}},
      {"ch_PP-OCRv4_rec_infer.onnx", {.shapes = {{"x", {1, 3, 48, 320}}}}},
      {"ch_ppocr_mobile_v2.0_cls_infer.onnx", {.shapes = {{"x", {1, 3, 48, 192}}}}}};
  int imported = 0;
  for (const auto& entry : fs::recursive_directory_iterator(assets)) {
    if (entry.path().extension() != ".onnx") continue;
    const auto found = options.find(entry.path().filename().string());
    const auto result =
        ImportOnnx(entry.path().string(), found == options.end() ? OnnxOptions{} : found->second);
    const std::string message = result.ok() ? "" : result.error().message;
    // Token models are not supported yet; they must say so.
    const bool refused = !result.ok() && result.error().code == Code::kUnsupported;
    EXPECT_TRUE(result.ok() || refused) << message;
    if (result.ok()) ++imported;
  }
  if (imported == 0) GTEST_SKIP() << "no model under " << assets;
}

}  // namespace
}  // namespace coracle::import

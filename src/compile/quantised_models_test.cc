// Models that come quantised, from file to rows: ONNX's own operator tests bit for bit, computed by
// plain loops, and what real models become.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graph/dump.h"
#include "import/onnx/array.h"
#include "import/onnx/tensor_reader.h"
#include "import/onnx/test_model.h"
#include "passes/interpreter_for_test.h"
#include "passes/pipeline.h"

namespace coracle {
namespace {

namespace fs = std::filesystem;
using graph::Graph;
using graph::Node;
using graph::OpKind;

const fs::path kNodeTests = "/usr/share/libonnx-testdata/data/node";

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder that the environment names, or where it lies beside the project.
fs::path Folder(const char* variable, const char* otherwise) {
  const char* set = std::getenv(variable);
  return set != nullptr ? set : otherwise;
}

size_t Count(const Graph& graph, OpKind kind) {
  return static_cast<size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                           [&](const Node& n) { return n.kind() == kind; }));
}

size_t CountDot8(const Graph& graph) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(),
                    [](const Node& n) { return n.weight_type == graph::WeightType::kDot8; }));
}

class OnnxCase {
 public:
  explicit OnnxCase(const std::string& name) : folder_(kNodeTests / name) {
    EXPECT_TRUE(model_->ParseFromString(ReadFile(folder_ / "model.onnx"))) << name;
  }

  /// Computes the case with all inputs constants but the first `count`, and compares.
  void Run(const std::vector<int>& network_inputs) {
    passes::NamedValues inputs;
    onnx::ModelProto bound = *model_;
    for (int i = 0; i < model_->graph().input_size(); ++i) {
      onnx::TensorProto tensor = Stored("input_" + std::to_string(i));
      tensor.set_name(model_->graph().input(i).name());
      const bool given =
          std::find(network_inputs.begin(), network_inputs.end(), i) != network_inputs.end();
      if (given) {
        inputs[tensor.name()] = Values(tensor);
      } else {
        *bound.mutable_graph()->add_initializer() = tensor;
      }
    }
    const std::string bytes = bound.SerializeAsString();
    auto imported =
        import::ImportOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), "", {});
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    Graph graph = std::move(imported->graph);
    Compare(graph, inputs);
    const Status status = passes::RunPasses(graph);
    ASSERT_TRUE(status.ok()) << status.error().message;
    Compare(graph, inputs);
    const auto rows = passes::LowerToRows(graph);
    ASSERT_TRUE(rows.ok()) << rows.error().message;
    Compare(*rows, inputs);
  }

 private:
  onnx::TensorProto Stored(const std::string& name) const {
    onnx::TensorProto tensor;
    const fs::path path = folder_ / "test_data_set_0" / (name + ".pb");
    EXPECT_TRUE(tensor.ParseFromString(ReadFile(path))) << path;
    return tensor;
  }

  std::vector<float> Values(const onnx::TensorProto& tensor) const {
    const auto constant = import::TensorReader(model_, "").Read(tensor);
    EXPECT_TRUE(constant.ok());
    const std::vector<double> values = import::LoadDoubles(**constant);
    return {values.begin(), values.end()};
  }

  void Compare(const Graph& graph, const passes::NamedValues& inputs) const {
    const passes::NamedValues outputs = passes::Interpret(graph, inputs);
    for (int i = 0; i < model_->graph().output_size(); ++i) {
      const onnx::TensorProto expected = Stored("output_" + std::to_string(i));
      EXPECT_EQ(outputs.at(model_->graph().output(i).name()), Values(expected))
          << folder_.filename() << "\n"
          << graph::Dump(graph);
    }
  }

  fs::path folder_;
  std::shared_ptr<onnx::ModelProto> model_ = std::make_shared<onnx::ModelProto>();
};

TEST(QuantisedModels, ComputeOnnxOwnTests) {
  if (!fs::exists(kNodeTests)) GTEST_SKIP() << "libonnx-testdata is not installed";
  for (const char* name :
       {"test_basic_convinteger", "test_convinteger_with_padding",
        "test_convinteger_without_padding", "test_dequantizelinear", "test_dequantizelinear_axis",
        "test_dynamicquantizelinear", "test_dynamicquantizelinear_max_adjusted",
        "test_dynamicquantizelinear_min_adjusted", "test_matmulinteger", "test_qlinearconv",
        "test_qlinearmatmul_2D", "test_quantizelinear", "test_quantizelinear_axis"}) {
    SCOPED_TRACE(name);
    OnnxCase(name).Run({0});
  }
  // Two activations.
  OnnxCase("test_matmulinteger").Run({0, 1});
  OnnxCase("test_qlinearmatmul_2D").Run({0, 3});
  OnnxCase("test_qlinearmatmul_3D").Run({0, 3});
}

/// `path` imported and lowered.
Graph RowsOfModel(const fs::path& path) {
  auto imported = import::ImportOnnx(path.string(), {});
  EXPECT_TRUE(imported.ok()) << imported.error().message;
  if (!imported.ok()) return {};
  Graph graph = std::move(imported->graph);
  const Status status = passes::RunPasses(graph);
  EXPECT_TRUE(status.ok()) << status.error().message;
  auto rows = passes::LowerToRows(graph);
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  return rows.ok() ? *std::move(rows) : Graph{};
}

TEST(QuantisedModels, MobileNetComputesOnIntegers) {
  const fs::path path =
      Folder("CORACLE_MODELS", "../shared/models") / "mobilenet_v2_1.0_224_quant_int8.onnx";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not there: set CORACLE_MODELS";
  const Graph graph = RowsOfModel(path);
  EXPECT_EQ(CountDot8(graph), 53U) << graph::Dump(graph);
  EXPECT_EQ(Count(graph, OpKind::kQuantizedAdd), 10U);
  // In float32: the image, the mean before the classifier, and the classes' softmax.
  EXPECT_EQ(Count(graph, OpKind::kQuantize), 2U);
  EXPECT_EQ(Count(graph, OpKind::kDequantize), 2U);
  EXPECT_EQ(graph.nodes.size(), 53U + 10 + 4 + 3) << graph::Dump(graph);
  for (const Node& node : graph.nodes) {
    if (node.weight_type != graph::WeightType::kDot8) continue;
    EXPECT_EQ(graph.tensor(node.output).dtype, DType::kUint8) << node.name;
    EXPECT_FALSE(node.source->integer_bias.empty()) << node.name;
  }
}

TEST(QuantisedModels, IsNetHasItsRangesFromTheData) {
  const fs::path path = Folder("CORACLE_ASSETS", "build/assets") / "isnet/isnet_small.onnx";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not there: tools/fetch_assets isnet_small";
  const Graph graph = RowsOfModel(path);
  EXPECT_EQ(CountDot8(graph), 119U) << graph::Dump(graph);
  EXPECT_LE(Count(graph, OpKind::kQuantize), 119U);
  EXPECT_EQ(Count(graph, OpKind::kQuantize), Count(graph, OpKind::kQuantizationRange));
  EXPECT_EQ(Count(graph, OpKind::kQuantize), Count(graph, OpKind::kRowExtremes));
  // Scales, casts, biases and ReLUs are the layers' own. What is left adds maps to one another, and
  // makes the six answers' sigmoids.
  EXPECT_EQ(Count(graph, OpKind::kAffine), 0U);
  EXPECT_EQ(Count(graph, OpKind::kUnary), 6U);
  EXPECT_EQ(Count(graph, OpKind::kBinary), 11U) << graph::Dump(graph);
}

}  // namespace
}  // namespace coracle

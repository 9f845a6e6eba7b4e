// OnnxWalker: imports one model's main graph, and the subgraphs that constant conditions choose.
#pragma once

#include <onnx/onnx_pb.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/onnx/array.h"
#include "import/onnx/onnx_import.h"
#include "import/onnx/onnx_node.h"
#include "import/onnx/tensor_reader.h"

namespace coracle::import {

/// Iterations of one Loop, and nodes that are visited in all (Loop bodies once per iteration).
inline constexpr int64_t kLoopIterationsMax = 1024;
inline constexpr uint32_t kVisitedNodesMax = 200'000;
inline constexpr uint32_t kSubgraphDepthMax = 16;

class OnnxWalker {
 public:
  OnnxWalker(const std::shared_ptr<const onnx::ModelProto>& message, const std::string& directory,
             uint64_t model_bytes, const OnnxOptions& options)
      : message_(message), options_(options), reader_(message, directory), budget_(model_bytes) {}

  /// The verified graph. Errors: as ImportOnnx.
  Result<graph::Graph> Run();

 private:
  using Scope = std::unordered_map<std::string, std::optional<Value>>;

  Status CheckOpset();
  Status CheckOptions() const;
  Status BindInitializers(const onnx::GraphProto& graph);
  Status BindInput(const onnx::ValueInfoProto& input);
  Status VisitNodes(const onnx::GraphProto& graph);
  Status Visit(const onnx::NodeProto& proto);
  Result<std::vector<Value>> Evaluate(const OnnxNode& node);
  Result<std::vector<Value>> EvaluateConstant(const OnnxNode& node);
  Result<std::vector<Value>> EvaluateIf(const OnnxNode& node);
  Result<std::vector<Value>> EvaluateLoop(const OnnxNode& node);
  Result<std::vector<Value>> RunSubgraph(const onnx::GraphProto& graph,
                                         const std::vector<Value>& arguments);
  Result<std::vector<std::optional<Value>>> ResolveInputs(const onnx::NodeProto& proto);
  Status BindOutputs(const OnnxNode& node, const std::vector<Value>& values);
  /// Null: not defined. Holds nothing: defined, but cannot be had.
  const std::optional<Value>* Lookup(const std::string& name) const;
  Status AddOutputs(const onnx::GraphProto& graph);
  Value ValueOf(graph::TensorIndex tensor) const {
    return Value::Of(tensor, builder_.shape(tensor));
  }

  std::shared_ptr<const onnx::ModelProto> message_;
  const OnnxOptions& options_;
  TensorReader reader_;
  FoldBudget budget_;
  GraphBuilder builder_;
  int64_t opset_ = 0;
  uint32_t visited_nodes_ = 0;
  std::vector<Scope> scopes_;
};

}  // namespace coracle::import

#include "graph/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "graph/infer.h"
#include "graph/verify_node.h"

namespace coracle::graph {
namespace {

Error GraphError(std::string message) { return Error{Code::kMalformed, std::move(message)}; }
Error LimitError(std::string message) { return Error{Code::kUnsupported, std::move(message)}; }

/// Walks a graph once, in order, remembering which tensors have a value.
class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.tensors.size(), false) {}

  Status Run() {
    TRY(CheckLimits());
    for (const Tensor& tensor : graph_.tensors) TRY(CheckTensor(tensor));
    TRY(CheckInputs());
    for (const Node& node : graph_.nodes) TRY(CheckNode(node));
    TRY(CheckOutputs());
    return CheckAllDefined();
  }

 private:
  Status CheckLimits() const {
    if (graph_.stage > Stage::kRows) return GraphError("graph: its stage does not exist");
    if (graph_.nodes.size() > kMaxNodes) {
      return LimitError(fmt::format("graph: {} nodes, at most {}", graph_.nodes.size(), kMaxNodes));
    }
    if (graph_.tensors.size() > kMaxTensors) {
      return LimitError(
          fmt::format("graph: {} tensors, at most {}", graph_.tensors.size(), kMaxTensors));
    }
    if (graph_.inputs.empty() || graph_.outputs.empty()) {
      return GraphError("graph: needs an input and an output");
    }
    if (graph_.inputs.size() > kMaxInputsPerNode || graph_.outputs.size() > kMaxInputsPerNode) {
      return LimitError("graph: too many inputs or outputs");
    }
    return {};
  }

  static Status CheckName(const std::string& name) {
    if (name.size() > kMaxNameBytes) {
      return LimitError(fmt::format("graph: a name of {} bytes, at most {}: {}...", name.size(),
                                    kMaxNameBytes, name.substr(0, 40)));
    }
    return {};
  }

  Status CheckTensor(const Tensor& tensor) const {
    TRY(CheckName(tensor.name));
    if (tensor.dtype != DType::kFloat32 && tensor.dtype != DType::kUint8) {
      return LimitError(fmt::format("tensor '{}': only float32 and uint8 activations are supported",
                                    tensor.name));
    }
    if (graph_.stage == Stage::kRows && tensor.shape.rank() == 0) {
      return GraphError(fmt::format("tensor '{}': has no axis", tensor.name));
    }
    for (uint32_t dim : tensor.shape.dims()) {
      if (dim == 0) {
        return GraphError(
            fmt::format("tensor '{}': {} is empty", tensor.name, tensor.shape.ToString()));
      }
      if (dim > kMaxDimension) {
        return LimitError(
            fmt::format("tensor '{}': dimension {}, at most {}", tensor.name, dim, kMaxDimension));
      }
    }
    const auto elements = tensor.shape.CheckedElements();
    if (!elements || *elements > kMaxTensorElements) {
      return LimitError(fmt::format("tensor '{}': {} has more than {} elements", tensor.name,
                                    tensor.shape.ToString(), kMaxTensorElements));
    }
    return {};
  }

  bool Exists(TensorIndex index) const { return Position(index) < graph_.tensors.size(); }
  bool Defined(TensorIndex index) const { return Exists(index) && defined_[Position(index)]; }

  Status CheckPort(const Port& port) const {
    TRY(CheckName(port.name));
    if (!Exists(port.tensor)) return GraphError(fmt::format("port '{}': no tensor", port.name));
    if (graph_.tensor(port.tensor).dtype != DType::kFloat32) {
      return GraphError(fmt::format("port '{}': is not float32", port.name));
    }
    const Shape& physical = graph_.shape(port.tensor);
    const uint32_t rank = physical.rank();
    // A scalar has no axis in the model's file, and one of a single element as rows.
    const bool scalar_as_rows = port.shape.rank() == 0 && physical == Shape{1};
    if (scalar_as_rows && port.perm.empty()) return {};
    if (port.shape.rank() != rank || port.perm.size() != rank) {
      return GraphError(fmt::format("port '{}': its rank is not its tensor's", port.name));
    }
    uint32_t seen = 0;
    for (uint32_t axis = 0; axis < rank; ++axis) {
      const uint32_t from = port.perm[axis];
      if (from >= rank || ((seen >> from) & 1U) != 0 || physical[axis] != port.shape[from] ||
          (graph_.stage == Stage::kLogical && from != axis)) {
        return GraphError(
            fmt::format("port '{}': its permutation does not give its tensor", port.name));
      }
      seen |= 1U << from;
    }
    return {};
  }

  static Status CheckUniqueNames(const std::vector<Port>& ports) {
    std::vector<std::string_view> names;
    names.reserve(ports.size());
    for (const Port& port : ports) names.push_back(port.name);
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) return GraphError(fmt::format("port '{}': occurs twice", *twin));
    return {};
  }

  Status CheckInputs() {
    TRY(CheckUniqueNames(graph_.inputs));
    for (const Port& port : graph_.inputs) {
      TRY(CheckPort(port));
      if (defined_[Position(port.tensor)]) {
        return GraphError(fmt::format("input '{}': shares its tensor", port.name));
      }
      defined_[Position(port.tensor)] = true;
    }
    return {};
  }

  Status CheckOutputs() const {
    TRY(CheckUniqueNames(graph_.outputs));
    for (const Port& port : graph_.outputs) {
      TRY(CheckPort(port));
      if (!Defined(port.tensor)) {
        return GraphError(fmt::format("output '{}': nothing computes it", port.name));
      }
    }
    return {};
  }

  Status CheckAllDefined() const {
    if (graph_.stage != Stage::kRows) return {};
    for (size_t i = 0; i < defined_.size(); ++i) {
      if (!defined_[i]) {
        return GraphError(fmt::format("tensor '{}': nothing computes it", graph_.tensors[i].name));
      }
    }
    return {};
  }

  Status CheckShape(const Node& node) const {
    std::vector<Shape> shapes;
    for (TensorIndex input : node.inputs) shapes.push_back(graph_.shape(input));
    const Shape& declared = graph_.shape(node.output);
    if (node.residual != Residual::kNone) {
      if (node.residual > Residual::kAfterActivation || !AllowsResidual(node.kind()) ||
          shapes.size() < 2 || shapes.back() != declared) {
        return NodeError(node, "its residual does not fit");
      }
      shapes.pop_back();
    }
    const Result<Shape> inferred = InferShape(node, shapes, graph_.stage, declared);
    if (!inferred.ok()) return Error{Code::kMalformed, inferred.error().message};
    if (*inferred != declared) {
      return NodeError(node, fmt::format("gives {}, but its output is {}", inferred->ToString(),
                                         declared.ToString()));
    }
    return {};
  }

  Status CheckDType(const Node& node) const {
    std::vector<DType> inputs;
    for (TensorIndex input : node.inputs) inputs.push_back(graph_.tensor(input).dtype);
    const DType declared = graph_.tensor(node.output).dtype;
    const Result<DType> inferred = InferDType(node, inputs, declared);
    if (!inferred.ok()) return Error{Code::kMalformed, inferred.error().message};
    if (*inferred != declared) {
      return NodeError(node, fmt::format("gives {}, but its output is {}", DTypeName(*inferred),
                                         DTypeName(declared)));
    }
    return {};
  }

  Status CheckNode(const Node& node) {
    TRY(CheckName(node.name));
    if (node.inputs.size() > kMaxInputsPerNode) return NodeError(node, "has too many inputs");
    for (TensorIndex input : node.inputs) {
      if (!Defined(input)) return NodeError(node, "reads a tensor that nothing before it computes");
    }
    if (!Exists(node.output) || defined_[Position(node.output)]) {
      return NodeError(node, "its output does not exist or is computed twice");
    }
    TRY(CheckShape(node));
    TRY(CheckDType(node));
    TRY(CheckActivation(node));
    TRY(CheckAlgorithm(graph_, node));
    TRY(CheckWeightType(graph_, node));
    TRY(CheckSource(graph_, node));
    TRY(CheckChunks(graph_, node, last_chunk_));
    defined_[Position(node.output)] = true;
    return {};
  }

  const Graph& graph_;
  std::vector<bool> defined_;
  int64_t last_chunk_ = -1;
};

}  // namespace

Status Verify(const Graph& graph) { return Verifier(graph).Run(); }

}  // namespace coracle::graph

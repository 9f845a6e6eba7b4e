#include "import/onnx/walker.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "graph/verify.h"
#include "import/onnx/node_order.h"
#include "import/onnx/operators.h"
#include "import/quoted.h"

namespace coracle::import {
namespace {

bool IsStandardDomain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

Error UnknownOperator(const onnx::NodeProto& proto, const OnnxNode& node) {
  const std::string domain =
      IsStandardDomain(proto.domain()) ? "" : fmt::format(" of domain {}", Quoted(proto.domain()));
  return Error{Code::kUnsupported, fmt::format("{}{} is not supported; supported: {}", node.Where(),
                                               domain, SupportedOnnxOperators())};
}

/// The dimensions that the file states; 0 where it leaves one open.
Result<std::vector<int64_t>> StatedDims(const onnx::ValueInfoProto& input) {
  std::vector<int64_t> dims;
  for (const auto& dim : input.type().tensor_type().shape().dim()) {
    const int64_t value = dim.has_dim_value() ? dim.dim_value() : 0;
    if (value < -1) {
      return Error{Code::kMalformed,
                   fmt::format("input {} has a dimension of {}", Quoted(input.name()), value)};
    }
    dims.push_back(std::max<int64_t>(value, 0));
  }
  return dims;
}

std::string DescribeDims(const onnx::ValueInfoProto& input) {
  std::vector<std::string> parts;
  for (const auto& dim : input.type().tensor_type().shape().dim()) {
    const bool known = dim.has_dim_value() && dim.dim_value() > 0;
    parts.push_back(known ? std::to_string(dim.dim_value())
                          : (dim.dim_param().empty() ? "?" : dim.dim_param().substr(0, 40)));
  }
  return Quoted(fmt::format("{}", fmt::join(parts, ",")));
}

/// The file's dimensions, with those of `--shape` where it leaves them open.
Result<Shape> InputShape(const onnx::ValueInfoProto& input, const OnnxOptions& options) {
  const std::string name = Quoted(input.name());
  const bool has_shape = input.type().tensor_type().has_shape();
  TRY_ASSIGN(std::vector<int64_t> dims, StatedDims(input));
  const auto given = options.shapes.find(input.name());
  if (given == options.shapes.end()) {
    if (!has_shape || std::find(dims.begin(), dims.end(), 0) != dims.end()) {
      return Error{Code::kInvalidArgument,
                   fmt::format("input {} has no fixed shape ({}); give it, for example --shape "
                               "{}=1x3x224x224",
                               name, has_shape ? DescribeDims(input) : "none stated",
                               input.name().substr(0, 100))};
    }
    return ToShape(dims, "input " + name);
  }
  const std::vector<int64_t>& wanted = given->second;
  bool fits = !has_shape || wanted.size() == dims.size();
  for (size_t i = 0; fits && has_shape && i < dims.size(); ++i) {
    fits = dims[i] == 0 || dims[i] == wanted[i];
  }
  if (!fits) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("input {} is {}; --shape {}={} does not fit", name, DescribeDims(input),
                    input.name().substr(0, 100), fmt::join(wanted, "x"))};
  }
  for (const int64_t dim : wanted) {
    if (dim < 1 || dim > graph::kMaxDimension) {
      return Error{Code::kInvalidArgument,
                   fmt::format("input {}: --shape has a dimension of {}, must lie between 1 and {}",
                               name, dim, graph::kMaxDimension)};
    }
  }
  return ToShape(wanted, "input " + name);
}

}  // namespace

Status OnnxWalker::CheckOpset() {
  for (const onnx::OperatorSetIdProto& set : message_->opset_import()) {
    if (IsStandardDomain(set.domain())) opset_ = set.version();
  }
  if (opset_ < kOnnxOpsetMin || opset_ > kOnnxOpsetMax) {
    return Error{Code::kUnsupported, fmt::format("operator set {}; {} to {} are supported", opset_,
                                                 kOnnxOpsetMin, kOnnxOpsetMax)};
  }
  return {};
}

Status OnnxWalker::CheckOptions() const {
  std::vector<std::string> names;
  for (const onnx::ValueInfoProto& input : message_->graph().input()) {
    if (Lookup(input.name()) == nullptr) names.push_back(input.name());
  }
  for (const auto& [name, shape] : options_.shapes) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::vector<std::string> quoted;
    for (size_t i = 0; i < std::min<size_t>(names.size(), 20); ++i) {
      quoted.push_back(Quoted(names[i]));
    }
    return Error{Code::kInvalidArgument,
                 fmt::format("--shape names {}, which is no input; inputs: {}", Quoted(name),
                             fmt::join(quoted, ", "))};
  }
  return {};
}

const std::optional<Value>* OnnxWalker::Lookup(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto found = scope->find(name);
    if (found != scope->end()) return &found->second;
  }
  return nullptr;
}

Status OnnxWalker::BindInitializers(const onnx::GraphProto& graph) {
  if (graph.sparse_initializer_size() > 0) {
    return Error{Code::kUnsupported, "sparse initialisers are not supported"};
  }
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    TRY_ASSIGN(ConstantPtr constant, reader_.Read(tensor));
    if (!scopes_.back().emplace(tensor.name(), Value::Of(std::move(constant))).second) {
      return Error{Code::kMalformed, fmt::format("two definitions of {}", Quoted(tensor.name()))};
    }
  }
  return {};
}

Status OnnxWalker::BindInput(const onnx::ValueInfoProto& input) {
  const auto known = scopes_.back().find(input.name());
  if (known != scopes_.back().end()) {
    if (known->second && known->second->is_constant()) return {};  // its initialiser's default
    return Error{Code::kMalformed, fmt::format("two definitions of {}", Quoted(input.name()))};
  }
  if (input.name().empty()) return Error{Code::kMalformed, "an input has no name"};
  const std::string what = "input " + Quoted(input.name());
  if (!input.type().has_tensor_type()) {
    return Error{Code::kUnsupported, what + " is no tensor"};
  }
  TRY_ASSIGN(const DType dtype, DTypeOfOnnx(input.type().tensor_type().elem_type(), what));
  const bool bfloat16 = input.type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16;
  const bool small = dtype == DType::kUint8 || dtype == DType::kInt8;
  if (bfloat16 || (dtype != DType::kFloat32 && dtype != DType::kFloat16 && !small)) {
    return Error{Code::kUnsupported,
                 fmt::format("{} has elements of type {}; only float32, float16, uint8 and int8 "
                             "are supported",
                             what, bfloat16 ? "bfloat16" : DTypeName(dtype))};
  }
  TRY_ASSIGN(const Shape shape, InputShape(input, options_));
  TRY_ASSIGN(graph::TensorIndex tensor, builder_.AddInput(input.name(), shape));
  if (small) {
    TRY_ASSIGN(tensor, builder_.Emit(input.name() + "/quantized",
                                     {.attrs = graph::Quantize{.out = PlainIntegers(dtype)},
                                      .inputs = {tensor},
                                      .element = dtype}));
  }
  scopes_.back().emplace(input.name(), Value::Of(tensor, shape));
  return {};
}

Result<std::vector<std::optional<Value>>> OnnxWalker::ResolveInputs(const onnx::NodeProto& proto) {
  std::vector<std::optional<Value>> inputs;
  for (const std::string& name : proto.input()) {
    if (name.empty()) {
      inputs.emplace_back();
      continue;
    }
    const std::optional<Value>* value = Lookup(name);
    if (value == nullptr) {
      return Error{Code::kMalformed, fmt::format("nothing defines {}", Quoted(name))};
    }
    if (!value->has_value()) {
      return Error{Code::kUnsupported,
                   fmt::format("node {} reads {}, a secondary output that is not supported",
                               Quoted(proto.name()), Quoted(name))};
    }
    inputs.push_back(*value);
  }
  while (!inputs.empty() && !inputs.back()) inputs.pop_back();
  return inputs;
}

Status OnnxWalker::BindOutputs(const OnnxNode& node, const std::vector<Value>& values) {
  for (int i = 0; i < node.proto().output_size(); ++i) {
    const std::string& name = node.proto().output(i);
    if (name.empty()) continue;
    const auto at = static_cast<size_t>(i);
    scopes_.back()[name] = at < values.size() ? std::optional(values[at]) : std::nullopt;
  }
  return {};
}

Result<std::vector<Value>> OnnxWalker::Evaluate(const OnnxNode& node) {
  const std::string& type = node.proto().op_type();
  const bool standard = IsStandardDomain(node.proto().domain());
  if (standard && type == "Constant") return EvaluateConstant(node);
  if (standard && type == "If") return EvaluateIf(node);
  if (standard && type == "Loop") return EvaluateLoop(node);
  // The names of other domains are in the table with their domain.
  const OnnxOperator* entry =
      FindOnnxOperator(standard ? type : fmt::format("{}.{}", node.proto().domain(), type));
  if (entry == nullptr) return UnknownOperator(node.proto(), node);

  std::vector<Value> values;
  if (entry->always_folds || node.AllInputsConstant()) {
    if (entry->fold_many != nullptr) {
      TRY_ASSIGN(const auto constants, entry->fold_many(node, budget_));
      for (const ConstantPtr& constant : constants) values.push_back(Value::Of(constant));
      return values;
    }
    if (entry->fold == nullptr) return node.Unsupported("all of its inputs are constants");
    TRY_ASSIGN(ConstantPtr constant, entry->fold(node, budget_));
    values.push_back(Value::Of(std::move(constant)));
    return values;
  }
  if (entry->emit_many != nullptr) {
    TRY_ASSIGN(const auto tensors, entry->emit_many(node, builder_));
    for (const graph::TensorIndex tensor : tensors) values.push_back(ValueOf(tensor));
    return values;
  }
  if (entry->emit == nullptr) {
    return node.Unsupported("is supported on constants only, and here the network computes it");
  }
  TRY_ASSIGN(const graph::TensorIndex tensor, entry->emit(node, builder_));
  values.push_back(ValueOf(tensor));
  return values;
}

Status OnnxWalker::Visit(const onnx::NodeProto& proto) {
  if (++visited_nodes_ > kVisitedNodesMax) {
    return Error{Code::kUnsupported, fmt::format("more than {} nodes", kVisitedNodesMax)};
  }
  TRY_ASSIGN(std::vector<std::optional<Value>> inputs, ResolveInputs(proto));
  const OnnxNode node(proto, opset_, std::move(inputs));
  Result<std::vector<Value>> values = Evaluate(node);
  if (values.ok()) return BindOutputs(node, *values);
  // Errors of the graph's own checks do not say which ONNX node they come from.
  const Error& error = values.error();
  const bool named = error.message.find(Quoted(node.name())) != std::string::npos;
  return named ? error : Error{error.code, fmt::format("{}: {}", node.Where(), error.message)};
}

Status OnnxWalker::VisitNodes(const onnx::GraphProto& graph) {
  const auto is_own = [this](const std::string& name) { return scopes_.back().count(name) > 0; };
  const auto is_known = [this](const std::string& name) { return Lookup(name) != nullptr; };
  TRY_ASSIGN(const std::vector<int> order, OrderNodes(graph, is_own, is_known));
  for (const int index : order) TRY(Visit(graph.node(index)));
  return {};
}

Status OnnxWalker::AddOutputs(const onnx::GraphProto& graph) {
  for (const onnx::ValueInfoProto& output : graph.output()) {
    const std::optional<Value>* value = Lookup(output.name());
    const std::string name = Quoted(output.name());
    if (value == nullptr) return Error{Code::kMalformed, "nothing defines output " + name};
    if (!value->has_value()) {
      return Error{Code::kUnsupported, "output " + name + " is a secondary output of its node"};
    }
    if ((*value)->is_constant()) {
      return Error{Code::kUnsupported, "output " + name + " does not depend on any input"};
    }
    TRY(builder_.AddOutput(output.name(), (*value)->tensor));
  }
  return {};
}

Result<graph::Graph> OnnxWalker::Run() {
  const onnx::GraphProto& graph = message_->graph();
  TRY(CheckOpset());
  scopes_.emplace_back();
  TRY(BindInitializers(graph));
  TRY(CheckOptions());
  for (const onnx::ValueInfoProto& input : graph.input()) TRY(BindInput(input));
  if (graph.output_size() == 0) return Error{Code::kMalformed, "the graph has no outputs"};
  TRY(VisitNodes(graph));
  TRY(AddOutputs(graph));
  return builder_.Finish();
}

}  // namespace coracle::import

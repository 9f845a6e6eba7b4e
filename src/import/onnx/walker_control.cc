// Constant, If and Loop: nodes whose result is another part of the file.
#include <fmt/format.h>

#include "import/onnx/walker.h"

namespace coracle::import {
namespace {

template <typename T>
std::vector<std::byte> BytesOf(std::span<const T> values) {
  const Bytes bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

/// A scalar boolean constant.
Result<bool> ReadCondition(const OnnxNode& node, const Value& value) {
  if (!value.is_constant()) {
    return node.Unsupported("its condition depends on the network's input");
  }
  const std::vector<int64_t> condition = LoadIntegers(*value.constant);
  if (condition.size() != 1) return node.Malformed("its condition is no scalar");
  return condition[0] != 0;
}

}  // namespace

Result<std::vector<Value>> OnnxWalker::EvaluateConstant(const OnnxNode& node) {
  if (const onnx::AttributeProto* value = node.Find("value"); value != nullptr && value->has_t()) {
    Result<ConstantPtr> constant = reader_.Read(value->t());
    if (!constant.ok()) {
      return Error{constant.error().code,
                   fmt::format("{}: {}", node.Where(), constant.error().message)};
    }
    return std::vector<Value>{Value::Of(*std::move(constant))};
  }
  ConstantPtr constant;
  if (node.Has("value_float")) {
    TRY_ASSIGN(const float value, node.Float("value_float", 0));
    constant = MakeFloatConstant(node.name(), {}, {value});
  } else if (node.Has("value_int")) {
    TRY_ASSIGN(const int64_t value, node.Int("value_int", 0));
    constant = StoreIntegers(DType::kInt64, {}, std::span(&value, 1));
  } else if (const onnx::AttributeProto* floats = node.Find("value_floats"); floats != nullptr) {
    std::vector<float> values(floats->floats().begin(), floats->floats().end());
    const Shape shape{static_cast<uint32_t>(values.size())};
    constant = MakeFloatConstant(node.name(), shape, std::move(values));
  } else if (node.Has("value_ints")) {
    TRY_ASSIGN(const std::vector<int64_t> values, node.Ints("value_ints"));
    constant = StoreIntegers(DType::kInt64, Shape{static_cast<uint32_t>(values.size())}, values);
  } else {
    return node.Unsupported("its value is no dense tensor of numbers");
  }
  return std::vector<Value>{Value::Of(std::move(constant))};
}

Result<std::vector<Value>> OnnxWalker::RunSubgraph(const onnx::GraphProto& graph,
                                                   const std::vector<Value>& arguments) {
  if (scopes_.size() > kSubgraphDepthMax) {
    return Error{Code::kUnsupported,
                 fmt::format("subgraphs nested deeper than {}", kSubgraphDepthMax)};
  }
  if (static_cast<size_t>(graph.input_size()) != arguments.size()) {
    return Error{Code::kMalformed, "a subgraph has the wrong number of inputs"};
  }
  scopes_.emplace_back();
  for (int i = 0; i < graph.input_size(); ++i) {
    scopes_.back()[graph.input(i).name()] = arguments[static_cast<size_t>(i)];
  }
  TRY(BindInitializers(graph));
  TRY(VisitNodes(graph));
  std::vector<Value> results;
  for (const onnx::ValueInfoProto& output : graph.output()) {
    const std::optional<Value>* value = Lookup(output.name());
    if (value == nullptr || !value->has_value()) {
      return Error{Code::kMalformed, "a subgraph's output is not defined"};
    }
    results.push_back(**value);
  }
  scopes_.pop_back();
  return results;
}

Result<std::vector<Value>> OnnxWalker::EvaluateIf(const OnnxNode& node) {
  TRY_ASSIGN(const Value value, node.Input(0));
  TRY_ASSIGN(const bool condition, ReadCondition(node, value));
  TRY_ASSIGN(const onnx::GraphProto* branch,
             node.Subgraph(condition ? "then_branch" : "else_branch"));
  return RunSubgraph(*branch, {});
}

Result<std::vector<Value>> OnnxWalker::EvaluateLoop(const OnnxNode& node) {
  TRY_ASSIGN(const onnx::GraphProto* body, node.Subgraph("body"));
  int64_t trips = kLoopIterationsMax + 1;
  if (node.HasInput(0)) {
    TRY_ASSIGN(const std::vector<int64_t> count, node.Integers(0));
    if (count.size() != 1) return node.Malformed("its trip count is no scalar");
    trips = count[0];
  }
  bool condition = true;
  if (node.HasInput(1)) {
    TRY_ASSIGN(const Value value, node.Input(1));
    TRY_ASSIGN(condition, ReadCondition(node, value));
  }
  std::vector<Value> carried;
  for (size_t i = 2; i < node.input_count(); ++i) {
    TRY_ASSIGN(Value value, node.Input(i));
    carried.push_back(std::move(value));
  }
  if (static_cast<size_t>(body->output_size()) != carried.size() + 1) {
    return node.Unsupported("scan outputs are not supported");
  }
  for (int64_t i = 0; i < trips && condition; ++i) {
    if (i == kLoopIterationsMax) {
      return node.Unsupported(fmt::format("runs more than {} times", kLoopIterationsMax));
    }
    std::vector<Value> arguments = {
        Value::Of(StoreIntegers(DType::kInt64, {}, std::span(&i, 1))),
        Value::Of(StoreIntegers(DType::kBool, {}, std::vector<int64_t>{1}))};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    TRY_ASSIGN(std::vector<Value> results, RunSubgraph(*body, arguments));
    TRY_ASSIGN(condition, ReadCondition(node, results[0]));
    carried.assign(results.begin() + 1, results.end());
  }
  return carried;
}

}  // namespace coracle::import

#include "import/onnx/onnx_node.h"

#include <fmt/format.h>

#include "import/onnx/array.h"
#include "import/quoted.h"

namespace coracle::import {
namespace {

// Longest list that an input may hold where a list of axes, pads or sizes is asked for.
constexpr uint64_t kListElementsMax = 1 << 20;

}  // namespace

const std::string& OnnxNode::name() const {
  if (!proto_.name().empty() || proto_.output_size() == 0) return proto_.name();
  return proto_.output(0);
}

std::string OnnxNode::Where() const {
  return fmt::format("operator {} (node {})", Quoted(proto_.op_type()), Quoted(name()));
}

Error OnnxNode::Malformed(std::string_view what) const {
  return Error{Code::kMalformed, fmt::format("{}: {}", Where(), what)};
}

Error OnnxNode::Unsupported(std::string_view what) const {
  return Error{Code::kUnsupported, fmt::format("{}: {}", Where(), what)};
}

std::string OnnxNode::InputName(size_t i) const {
  return Quoted(proto_.input(static_cast<int>(i)));
}

bool OnnxNode::AllInputsConstant() const {
  for (const std::optional<Value>& input : inputs_) {
    if (input && !input->is_constant()) return false;
  }
  return true;
}

Result<Value> OnnxNode::Input(size_t i) const {
  if (!HasInput(i)) return Malformed(fmt::format("input {} is missing", i));
  return *inputs_[i];
}

Result<graph::TensorIndex> OnnxNode::Tensor(size_t i) const {
  if (!HasInput(i)) return Malformed(fmt::format("input {} is missing", i));
  if (inputs_[i]->is_constant()) {
    return Unsupported(
        fmt::format("input {} ({}) must come from the network's input, not be a "
                    "constant",
                    i, InputName(i)));
  }
  return inputs_[i]->tensor;
}

Result<ConstantPtr> OnnxNode::Constant(size_t i) const {
  if (!HasInput(i)) return Malformed(fmt::format("input {} is missing", i));
  if (!inputs_[i]->is_constant()) {
    return Unsupported(fmt::format(
        "input {} ({}) must be a constant, not depend on the network's input", i, InputName(i)));
  }
  return inputs_[i]->constant;
}

Result<ConstantPtr> OnnxNode::FloatConstant(size_t i) const {
  TRY_ASSIGN(ConstantPtr constant, Constant(i));
  return AsFloat32(constant);
}

Result<std::vector<int64_t>> OnnxNode::Integers(size_t i) const {
  TRY_ASSIGN(ConstantPtr constant, Constant(i));
  if (constant->shape.Elements() > kListElementsMax) {
    return Malformed(fmt::format("input {} ({}) is too long a list", i, InputName(i)));
  }
  return LoadIntegers(*constant);
}

Result<std::vector<float>> OnnxNode::Floats(size_t i) const {
  TRY_ASSIGN(ConstantPtr constant, Constant(i));
  const std::vector<double> doubles = LoadDoubles(*constant);
  std::vector<float> floats;
  floats.reserve(doubles.size());
  for (const double value : doubles) floats.push_back(static_cast<float>(value));
  return floats;
}

const onnx::AttributeProto* OnnxNode::Find(std::string_view attribute) const {
  for (const onnx::AttributeProto& candidate : proto_.attribute()) {
    if (candidate.name() == attribute) return &candidate;
  }
  return nullptr;
}

Error OnnxNode::WrongType(std::string_view attribute) const {
  return Malformed(fmt::format("attribute '{}' has the wrong type", attribute));
}

// Old exporters leave the type field out: then the value itself must be there. Others leave a value
// of zero out: then the type must be there.
Result<int64_t> OnnxNode::Int(std::string_view attribute, int64_t otherwise) const {
  const onnx::AttributeProto* found = Find(attribute);
  if (found == nullptr) return otherwise;
  if (!found->has_i() && found->type() != onnx::AttributeProto::INT) return WrongType(attribute);
  return found->i();
}

Result<float> OnnxNode::Float(std::string_view attribute, float otherwise) const {
  const onnx::AttributeProto* found = Find(attribute);
  if (found == nullptr) return otherwise;
  if (!found->has_f() && found->type() != onnx::AttributeProto::FLOAT) return WrongType(attribute);
  return found->f();
}

Result<std::string> OnnxNode::String(std::string_view attribute, std::string_view otherwise) const {
  const onnx::AttributeProto* found = Find(attribute);
  if (found == nullptr) return std::string(otherwise);
  if (!found->has_s() && found->type() != onnx::AttributeProto::STRING) return WrongType(attribute);
  return found->s();
}

Result<std::vector<int64_t>> OnnxNode::Ints(std::string_view attribute) const {
  const onnx::AttributeProto* found = Find(attribute);
  if (found == nullptr) return std::vector<int64_t>{};
  if (found->has_i() || found->has_f() || found->has_s() || found->floats_size() > 0) {
    return WrongType(attribute);
  }
  return std::vector<int64_t>(found->ints().begin(), found->ints().end());
}

Result<const onnx::GraphProto*> OnnxNode::Subgraph(std::string_view attribute) const {
  const onnx::AttributeProto* found = Find(attribute);
  if (found == nullptr || !found->has_g()) {
    return Malformed(fmt::format("has no graph '{}'", attribute));
  }
  return &found->g();
}

Result<std::vector<int64_t>> OnnxNode::IntsOrInput(std::string_view attribute, size_t i) const {
  if (HasInput(i)) return Integers(i);
  return Ints(attribute);
}

}  // namespace coracle::import

#include "import/graph_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "graph/infer.h"
#include "graph/verify.h"
#include "import/quoted.h"

namespace coracle::import {

using graph::BinaryKind;
using graph::TensorIndex;

namespace {

// Room is left below graph::kMaxNameBytes for the suffixes of parts and of twins.
constexpr size_t kNodeNameBytesMax = graph::kMaxNameBytes - 64;

}  // namespace

ConstantPtr MakeFloatConstant(std::string name, const Shape& shape, std::vector<float> values) {
  CORACLE_CHECK(shape.Elements() == values.size());
  auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  graph::Constant constant;
  constant.name = std::move(name);
  constant.shape = shape;
  constant.bytes = std::as_bytes(std::span(*owner));
  constant.owner = std::move(owner);
  return std::make_shared<const graph::Constant>(std::move(constant));
}

ConstantPtr WithShape(const ConstantPtr& constant, const Shape& shape) {
  CORACLE_CHECK(shape.Elements() == constant->shape.Elements());
  if (shape == constant->shape) return constant;
  graph::Constant copy = *constant;
  copy.shape = shape;
  return std::make_shared<const graph::Constant>(std::move(copy));
}

graph::Quantization PlainIntegers(DType element) {
  return {1, static_cast<uint8_t>(element == DType::kInt8 ? 128 : 0)};
}

ConstantPtr GraphBuilder::AsInt8(const ConstantPtr& constant) {
  if (constant->dtype == DType::kInt8) return constant;
  CORACLE_CHECK(constant->dtype == DType::kUint8);
  auto& [from, to] = as_int8_[constant.get()];
  if (to != nullptr) return to;
  auto bytes =
      std::make_shared<std::vector<std::byte>>(constant->bytes.begin(), constant->bytes.end());
  for (std::byte& byte : *bytes) byte ^= std::byte{0x80};
  graph::Constant copy = *constant;
  copy.dtype = DType::kInt8;
  copy.bytes = Bytes(*bytes);
  copy.owner = std::move(bytes);
  from = constant;
  to = std::make_shared<const graph::Constant>(std::move(copy));
  return to;
}

void GraphBuilder::NotePartOfRange(TensorIndex part, TensorIndex range) { ranges_[part] = range; }

std::optional<TensorIndex> GraphBuilder::RangeOfPart(TensorIndex part) const {
  const auto found = ranges_.find(part);
  return found == ranges_.end() ? std::nullopt : std::optional(found->second);
}

std::string GraphBuilder::UniqueName(const std::string& base) {
  std::string name = base.substr(0, kNodeNameBytesMax);
  // A counter per base name: models with thousands of twins stay linear.
  while (true) {
    const uint32_t uses = name_uses_[name]++;
    if (uses == 0) return name;
    name = fmt::format("{}#{}", base.substr(0, kNodeNameBytesMax), uses + 1);
  }
}

Status GraphBuilder::CheckShape(const std::string& name, const Shape& shape) const {
  for (const uint32_t dim : shape.dims()) {
    if (dim == 0) {
      return Error{Code::kUnsupported, fmt::format("tensor {}: shape {} has a dimension of 0",
                                                   Quoted(name), shape.ToString())};
    }
    if (dim > graph::kMaxDimension) {
      return Error{Code::kUnsupported, fmt::format("tensor {}: dimension {}, at most {}",
                                                   Quoted(name), dim, graph::kMaxDimension)};
    }
  }
  const std::optional<uint64_t> elements = shape.CheckedElements();
  if (!elements || *elements > graph::kMaxTensorElements) {
    return Error{Code::kUnsupported,
                 fmt::format("tensor {}: {} has more than {} elements", Quoted(name),
                             shape.ToString(), graph::kMaxTensorElements)};
  }
  if (graph_.tensors.size() >= graph::kMaxTensors || graph_.nodes.size() >= graph::kMaxNodes) {
    return Error{Code::kUnsupported, fmt::format("the network has more than {} nodes or {} tensors",
                                                 graph::kMaxNodes, graph::kMaxTensors)};
  }
  return {};
}

Result<TensorIndex> GraphBuilder::AddInput(const std::string& name, const Shape& shape) {
  TRY(CheckShape(name, shape));
  ++name_uses_[name];
  const TensorIndex tensor = graph_.AddTensor(name, shape);
  elements_.push_back(DType::kFloat32);
  std::vector<uint32_t> perm(shape.rank());
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) perm[axis] = axis;
  graph_.inputs.push_back({name, tensor, shape, std::move(perm)});
  is_port_.resize(Position(tensor) + 1, false);
  is_port_[Position(tensor)] = true;
  return tensor;
}

Result<DType> GraphBuilder::InferElement(const graph::Node& node,
                                         const std::optional<DType>& stated) const {
  std::vector<DType> dtypes;
  const bool passes = graph::PassesThrough(node);
  for (const TensorIndex input : node.inputs) {
    dtypes.push_back(graph_.tensor(input).dtype);
    if (passes && element(input) != element(node.inputs[0])) {
      return Error{Code::kMalformed,
                   fmt::format("{}: its inputs are {} and {}", Quoted(node.name),
                               DTypeName(element(node.inputs[0])), DTypeName(element(input)))};
    }
    if (!passes && !stated && element(input) == DType::kInt32) {
      return Error{Code::kUnsupported,
                   fmt::format("{}: arithmetic on integers that the network computes is not "
                               "supported",
                               Quoted(node.name))};
    }
  }
  const bool small = stated == DType::kUint8 || stated == DType::kInt8;
  TRY_ASSIGN(const DType dtype,
             graph::InferDType(node, dtypes, small ? DType::kUint8 : DType::kFloat32));
  if (stated) return *stated;
  return passes ? element(node.inputs[0]) : dtype;
}

Result<TensorIndex> GraphBuilder::Emit(const std::string& name, NodeParts parts) {
  graph::Node node;
  node.name = UniqueName(name);
  node.attrs = std::move(parts.attrs);
  node.inputs = std::move(parts.inputs);
  node.activation = parts.activation;
  node.source = std::move(parts.source);
  node.weight_type = parts.weight_type;
  node.integer = parts.integer;
  if (node.inputs.size() > graph::kMaxInputsPerNode) {
    return Error{Code::kUnsupported,
                 fmt::format("{} has more than {} inputs", Quoted(name), graph::kMaxInputsPerNode)};
  }
  std::vector<Shape> inputs;
  for (const TensorIndex input : node.inputs) inputs.push_back(graph_.shape(input));
  TRY_ASSIGN(const Shape shape, graph::InferShape(node, inputs, graph::Stage::kLogical,
                                                  parts.declared.value_or(Shape{})));
  if (parts.declared && *parts.declared != shape) {
    return Error{Code::kMalformed, fmt::format("{} gives {}, not {}", Quoted(name),
                                               shape.ToString(), parts.declared->ToString())};
  }
  TRY(CheckShape(name, shape));
  TRY_ASSIGN(const DType element, InferElement(node, parts.element));
  const bool small = element == DType::kUint8 || element == DType::kInt8;
  node.output = graph_.AddTensor(node.name, shape, small ? DType::kUint8 : DType::kFloat32);
  elements_.push_back(element);
  const TensorIndex output = node.output;
  graph_.AddNode(std::move(node));
  return output;
}

Status GraphBuilder::AddOutput(const std::string& name, TensorIndex tensor) {
  TensorIndex own = tensor;
  if (graph_.tensor(tensor).dtype == DType::kUint8) {
    TRY_ASSIGN(own, Emit(name, {.attrs = graph::Dequantize{.in = PlainIntegers(element(tensor))},
                                .inputs = {tensor}}));
  } else if (Position(tensor) < is_port_.size() && is_port_[Position(tensor)]) {
    TRY_ASSIGN(
        own, Emit(name, {.attrs = graph::Unary{}, .inputs = {tensor}, .element = element(tensor)}));
  }
  const Shape& shape = graph_.shape(own);
  std::vector<uint32_t> perm(shape.rank());
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) perm[axis] = axis;
  graph_.outputs.push_back({name, own, shape, std::move(perm)});
  if (is_port_.size() <= Position(own)) is_port_.resize(Position(own) + 1, false);
  is_port_[Position(own)] = true;
  return {};
}

Result<graph::Graph> GraphBuilder::Finish() {
  TRY(graph::Verify(graph_));
  is_port_.clear();
  elements_.clear();
  as_int8_.clear();
  ranges_.clear();
  name_uses_.clear();
  return std::exchange(graph_, {});
}

Result<TensorIndex> GraphBuilder::Reshape(const std::string& name, TensorIndex x,
                                          const Shape& shape) {
  if (graph_.shape(x) == shape) return x;
  return Emit(name, {.attrs = graph::Reshape{}, .inputs = {x}, .declared = shape});
}

Result<TensorIndex> GraphBuilder::Transpose(const std::string& name, TensorIndex x,
                                            std::vector<uint32_t> perm) {
  bool moves = perm.size() != graph_.shape(x).rank();
  for (size_t axis = 0; axis < perm.size(); ++axis) moves = moves || perm[axis] != axis;
  if (!moves) return x;
  return Emit(name, {.attrs = graph::Transpose{std::move(perm)}, .inputs = {x}});
}

Result<TensorIndex> GraphBuilder::Slice(const std::string& name, TensorIndex x, graph::Slice slice,
                                        const Shape& result) {
  const bool forward =
      std::all_of(slice.steps.begin(), slice.steps.end(), [](int64_t step) { return step == 1; });
  if (forward && graph_.shape(x) == result) return x;
  return Emit(name, {.attrs = std::move(slice), .inputs = {x}, .declared = result});
}

Result<TensorIndex> GraphBuilder::Activate(const std::string& name, TensorIndex x,
                                           graph::Activation activation) {
  if (activation.kind == graph::ActivationKind::kNone) return x;
  return Emit(name, {.attrs = graph::Unary{}, .inputs = {x}, .activation = activation});
}

Result<TensorIndex> GraphBuilder::Combine(const std::string& name, BinaryKind kind, TensorIndex a,
                                          TensorIndex b) {
  return Emit(name,
              {.attrs = graph::Binary{kind, graph::Operands::kTensors, {}}, .inputs = {a, b}});
}

Result<TensorIndex> GraphBuilder::CombineConstant(const std::string& name, BinaryKind kind,
                                                  TensorIndex x, ConstantPtr constant) {
  graph::Binary attrs{kind, graph::Operands::kConstantRight, constant->shape};
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = std::move(constant);
  return Emit(name, {.attrs = attrs, .inputs = {x}, .source = std::move(source)});
}

Result<TensorIndex> GraphBuilder::CombineScalar(const std::string& name, BinaryKind kind,
                                                TensorIndex x, float scalar) {
  return CombineConstant(name, kind, x, MakeFloatConstant(name + "/scalar", {}, {scalar}));
}

Result<TensorIndex> GraphBuilder::Affine(const std::string& name, TensorIndex x,
                                         std::vector<float> scale, std::vector<float> shift,
                                         graph::Activation activation) {
  auto source = std::make_shared<graph::WeightSource>();
  source->scale = std::move(scale);
  source->bias = std::move(shift);
  return Emit(name, {.attrs = graph::Affine{},
                     .inputs = {x},
                     .activation = activation,
                     .source = std::move(source)});
}

}  // namespace coracle::import

#include "passes/lowering.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace coracle::passes {

using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

Lowering::Lowering(const graph::Graph& logical)
    : logical_(logical),
      values_(logical.tensors.size()),
      uses_(logical.tensors.size()),
      is_output_(logical.tensors.size(), false) {
  CORACLE_CHECK(logical.stage == graph::Stage::kLogical);
  rows_.stage = graph::Stage::kRows;
  for (const Node& node : logical.nodes) {
    for (TensorIndex input : node.inputs) uses_[Position(input)].push_back(&node);
  }
  for (const graph::Port& port : logical.outputs) is_output_[Position(port.tensor)] = true;
}

Result<graph::Graph> Lowering::Run() {
  for (const graph::Port& port : logical_.inputs) LowerInput(port);
  for (const Node& node : logical_.nodes) TRY(LowerNode(node));
  for (const graph::Port& port : logical_.outputs) LowerOutput(port);
  return std::move(rows_);
}

Layout Lowering::InputLayout(const graph::Port& port) const {
  const uint32_t rank = port.shape.rank();
  const Layout wanted = rank == 4 ? ChannelsLast() : IdentityLayout(rank);
  const std::vector<const Node*>& uses = uses_[Position(port.tensor)];
  if (uses.empty()) return wanted;
  // A model that begins by transposing its input gets it already transposed.
  const auto* first = std::get_if<graph::Transpose>(&uses[0]->attrs);
  const bool only_transposed =
      first != nullptr && std::all_of(uses.begin(), uses.end(), [&](const Node* use) {
        return use->attrs == uses[0]->attrs;
      });
  if (!only_transposed) return wanted;
  Layout layout;
  for (uint32_t axis : wanted) layout.push_back(first->perm[axis]);
  return layout;
}

void Lowering::LowerInput(const graph::Port& port) {
  const Layout layout = InputLayout(port);
  const std::string& name = logical_.tensor(port.tensor).name;
  const TensorIndex physical = rows_.AddTensor(name, PhysicalShape(port.shape, layout));
  values_[Position(port.tensor)] = {physical, layout, port.shape, {}};
  rows_.inputs.push_back({port.name, physical, port.shape, layout});
}

void Lowering::LowerOutput(const graph::Port& port) {
  const Value& value = values_[Position(port.tensor)];
  rows_.outputs.push_back({port.name, value.physical, port.shape, value.layout});
}

Status Lowering::LowerNode(const Node& node) {
  Value& value = values_[Position(node.output)];
  switch (node.kind()) {
    case OpKind::kConv:
    case OpKind::kConvTranspose:
    case OpKind::kPool:
    case OpKind::kResize:
    case OpKind::kReorg:
    case OpKind::kDetectionHead:
      value = LowerImage(node);
      break;
    case OpKind::kDense:
      value = LowerDense(node);
      break;
    case OpKind::kMatMul:
      value = LowerMatMul(node);
      break;
    case OpKind::kAffine:
      value = LowerLastAxis(node, 1);
      break;
    case OpKind::kLayerNorm:
      value = LowerLastAxis(node, Operand(node, 0).shape.rank() - 1);
      break;
    case OpKind::kSoftmax:
      value = LowerLastAxis(node, std::get<graph::Softmax>(node.attrs).axis);
      break;
    case OpKind::kUnary:
      value = LowerUnary(node);
      break;
    case OpKind::kQuantize:
    case OpKind::kDequantize:
      value = LowerByRange(node);
      break;
    case OpKind::kQuantizationRange:
      value = LowerRange(node);
      break;
    case OpKind::kQuantizedAdd:
      value = LowerQuantizedAdd(node);
      break;
    case OpKind::kRowExtremes:
      CORACLE_CHECK(false);  // Verify: rows only
    case OpKind::kBinary:
      value = node.inputs.size() == 2 ? LowerBinary(node) : LowerBinaryConstant(node);
      break;
    case OpKind::kConcat:
      value = LowerConcat(node);
      break;
    case OpKind::kSlice:
      value = LowerSlice(node);
      break;
    case OpKind::kPad:
      value = LowerPad(node);
      break;
    case OpKind::kTranspose:
      value = LowerTranspose(node);
      break;
    case OpKind::kReshape:
      value = LowerReshape(node);
      break;
    case OpKind::kReduce:
      value = LowerReduce(node);
      break;
    case OpKind::kRecurrence:
      value = LowerSequence(node, IdentityLayout(3));
      break;
    case OpKind::kAttention:
      value = LowerAttention(node);
      break;
  }
  return {};
}

const Value& Lowering::Operand(const Node& node, size_t operand) const {
  return values_[Position(node.inputs[operand])];
}

TensorIndex Lowering::InLayout(const Value& value, const Layout& layout) {
  if (value.layout == layout) return value.physical;
  const std::string name = rows_.tensor(value.physical).name + ".rows";
  const Shape shape = PhysicalShape(value.shape, layout);
  if (SameOrder(value.shape, value.layout, layout)) {
    return EmitPlain(name, graph::Reshape{}, value.physical, shape);
  }
  return EmitPlain(name, graph::Transpose{TransposeBetween(value.layout, layout)}, value.physical,
                   shape);
}

Value Lowering::Reshaped(const Value& value, const Shape& shape, const Layout& layout,
                         const std::string& name) {
  const Shape physical = PhysicalShape(shape, layout);
  if (rows_.shape(value.physical) == physical) return {value.physical, layout, shape, {}};
  return {EmitPlain(name, graph::Reshape{}, value.physical, physical), layout, shape, {}};
}

Value Lowering::WithRank(const Value& value, uint32_t rank) {
  const uint32_t missing = rank - value.shape.rank();
  if (missing == 0) return value;
  Shape shape;
  Layout layout = IdentityLayout(missing);
  for (uint32_t i = 0; i < missing; ++i) shape.Append(1);
  for (uint32_t dim : value.shape.dims()) shape.Append(dim);
  for (uint32_t axis : value.layout) layout.push_back(axis + missing);
  return Reshaped(value, shape, layout, rows_.tensor(value.physical).name + ".rank");
}

Value Lowering::Emit(const Node& node, graph::Attributes attrs, std::vector<TensorIndex> inputs,
                     const Layout& layout) {
  const Shape& shape = logical_.shape(node.output);
  Node lowered = node;
  lowered.attrs = std::move(attrs);
  lowered.inputs = std::move(inputs);
  const graph::Tensor& tensor = logical_.tensor(node.output);
  lowered.output = rows_.AddTensor(tensor.name, PhysicalShape(shape, layout), tensor.dtype);
  const Value value{lowered.output, layout, shape, {}};
  rows_.AddNode(std::move(lowered));
  return value;
}

TensorIndex Lowering::EmitPlain(const std::string& name, graph::Attributes attrs, TensorIndex input,
                                const Shape& shape) {
  Node node;
  node.name = name;
  node.attrs = std::move(attrs);
  node.inputs = {input};
  node.output = rows_.AddTensor(name, shape, rows_.tensor(input).dtype);
  const TensorIndex output = node.output;
  rows_.AddNode(std::move(node));
  return output;
}

bool Lowering::FeedsOnlyDense(TensorIndex tensor) const {
  if (is_output_[Position(tensor)]) return false;
  const std::vector<const Node*>& uses = uses_[Position(tensor)];
  return std::all_of(uses.begin(), uses.end(), [&](const Node* use) {
    return use->kind() == OpKind::kDense && use->inputs[0] == tensor &&
           std::count(use->inputs.begin(), use->inputs.end(), tensor) == 1;
  });
}

}  // namespace coracle::passes

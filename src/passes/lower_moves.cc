// Lowering of the operators that move elements.
#include <algorithm>

#include "passes/lowering.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::TensorIndex;

/// Per-axis numbers from logical to physical order.
template <typename T>
std::vector<T> Physical(const std::vector<T>& logical, const Layout& layout) {
  std::vector<T> physical;
  for (uint32_t axis : layout) physical.push_back(logical[axis]);
  return physical;
}

}  // namespace

Value Lowering::LowerConcat(const Node& node) {
  // The layout that most elements have.
  const Value* leader = &Operand(node, 0);
  uint64_t most = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    uint64_t alike = 0;
    for (size_t j = 0; j < node.inputs.size(); ++j) {
      const Value& other = Operand(node, j);
      if (other.layout == Operand(node, i).layout) alike += other.shape.Elements();
    }
    if (alike > most) leader = &Operand(node, i);
    most = std::max(most, alike);
  }
  const Layout layout = leader->layout;
  std::vector<TensorIndex> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    inputs.push_back(InLayout(Operand(node, i), layout));
  }
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
  return Emit(node, graph::Concat{PositionOf(layout, axis)}, std::move(inputs), layout);
}

Value Lowering::LowerSlice(const Node& node) {
  const Value& input = Operand(node, 0);
  const auto& slice = std::get<graph::Slice>(node.attrs);
  if (input.layout.empty()) return input;
  const graph::Slice attrs{Physical(slice.starts, input.layout),
                           Physical(slice.steps, input.layout)};
  return Emit(node, attrs, {input.physical}, input.layout);
}

Value Lowering::LowerPad(const Node& node) {
  const Value& input = Operand(node, 0);
  const auto& pad = std::get<graph::Pad>(node.attrs);
  if (input.layout.empty()) return input;
  graph::Pad attrs = pad;
  attrs.before = Physical(pad.before, input.layout);
  attrs.after = Physical(pad.after, input.layout);
  return Emit(node, attrs, {input.physical}, input.layout);
}

Value Lowering::LowerTranspose(const Node& node) {
  // Nothing moves: physical axis i is what it was, and only its logical number changes.
  const Value& input = Operand(node, 0);
  const auto& perm = std::get<graph::Transpose>(node.attrs).perm;
  Value output{input.physical, {}, logical_.shape(node.output), {}};
  for (uint32_t axis : input.layout) output.layout.push_back(PositionOf(perm, axis));
  return output;
}

Value Lowering::LowerReshape(const Node& node) {
  const Value& input = Operand(node, 0);
  const Shape& out = logical_.shape(node.output);
  const bool flattens = input.shape.rank() == 4 && input.layout == ChannelsLast() &&
                        out.rank() == 2 && out[0] == input.shape[0];
  if (flattens && !SameOrder(input.shape, input.layout, IdentityLayout(4)) &&
      FeedsOnlyDense(node.output)) {
    Value value = Reshaped(input, out, IdentityLayout(2), node.name);
    value.flattened_from = Shape{input.shape[1], input.shape[2], input.shape[3]};
    return value;
  }
  const ReshapeLayouts layouts = PlanReshape(input.shape, input.layout, out);
  const Value ready{InLayout(input, layouts.input), layouts.input, input.shape, {}};
  return Reshaped(ready, out, layouts.output, node.name);
}

}  // namespace coracle::passes

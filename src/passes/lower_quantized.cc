// Lowering of the operators on quantised tensors. A range belongs to an image: what is quantised by
// one has its images first in memory.
#include "passes/lowering.h"

namespace coracle::passes {

using graph::Node;
using graph::TensorIndex;

Layout ImagesFirst(const Layout& layout) {
  if (layout.size() < 3 || layout[0] == 0) return layout;
  Layout moved = {0};
  for (const uint32_t axis : layout) {
    if (axis != 0) moved.push_back(axis);
  }
  return moved;
}

TensorIndex Lowering::RangeOperand(const Node& node) {
  return InLayout(Operand(node, 1), IdentityLayout(3));
}

Value Lowering::LowerByRange(const Node& node) {
  if (node.inputs.size() == 1) return LowerUnary(node);
  const Value& input = Operand(node, 0);
  const Layout layout = ImagesFirst(input.layout);
  return Emit(node, node.attrs, {InLayout(input, layout), RangeOperand(node)}, layout);
}

Value Lowering::LowerRange(const Node& node) {
  const Value& input = Operand(node, 0);
  const TensorIndex images = InLayout(input, ImagesFirst(input.layout));
  const graph::RowShape rows = graph::RowsOf(rows_.shape(images));
  const TensorIndex extremes =
      EmitPlain(node.name + ".extremes", graph::RowExtremes{}, images, {rows.images, rows.rows, 2});
  return Emit(node, node.attrs, {extremes}, IdentityLayout(3));
}

Value Lowering::LowerQuantizedAdd(const Node& node) {
  const Value& a = Operand(node, 0);
  const Value& b = Operand(node, 1);
  const Layout layout = b.layout == ChannelsLast() ? b.layout : a.layout;
  return Emit(node, node.attrs, {InLayout(a, layout), InLayout(b, layout)}, layout);
}

}  // namespace coracle::passes

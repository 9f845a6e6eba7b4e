// Lowering of Reduce: kernels reduce the last axis, or all rows and pixels of an image.
#include <algorithm>

#include "passes/lowering.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::Reduce;
using graph::TensorIndex;

/// Runs of neighbouring physical axes that are all kept or all reduced; axes of 1 belong to either.
struct Run {
  bool reduced = false;
  uint64_t elements = 1;
};

std::vector<Run> Runs(const Shape& physical, const std::vector<bool>& reduced) {
  std::vector<Run> runs;
  for (uint32_t axis = 0; axis < physical.rank(); ++axis) {
    if (physical[axis] == 1) continue;
    if (runs.empty() || runs.back().reduced != reduced[axis]) {
      runs.push_back({reduced[axis], 1});
    }
    runs.back().elements *= physical[axis];
  }
  return runs;
}

/// The shape under which Runs() is one of the two forms, or rank 0: [kept, reduced] or [kept,
/// reduced, kept].
Shape FormOf(const std::vector<Run>& runs) {
  Shape form;
  if (runs.empty() || runs.size() > 3) return {};
  if (runs[0].reduced) form.Append(1);
  for (const Run& run : runs) {
    if (form.rank() == 3) return {};
    form.Append(static_cast<uint32_t>(run.elements));
  }
  if (form.rank() == 1) form.Append(1);
  return form;
}

/// The physical axes that the attribute would name without any reshaping, if that is a form.
std::vector<uint32_t> DirectAxes(const Shape& physical, const std::vector<bool>& reduced) {
  const uint32_t rank = physical.rank();
  const auto matches = [&](auto in_form) {
    for (uint32_t axis = 0; axis < rank; ++axis) {
      if (physical[axis] != 1 && reduced[axis] != in_form(axis)) return false;
    }
    return true;
  };
  if (matches([&](uint32_t axis) { return axis + 1 == rank; })) return {rank - 1};
  const bool spatial =
      rank >= 3 && matches([&](uint32_t axis) { return axis > 0 && axis + 1 < rank; });
  std::vector<uint32_t> axes;
  for (uint32_t axis = 1; spatial && axis + 1 < rank; ++axis) axes.push_back(axis);
  return axes;
}

}  // namespace

Value Lowering::LowerReduce(const Node& node) {
  const Value& operand = Operand(node, 0);
  const auto& reduce = std::get<Reduce>(node.attrs);
  const auto flags = [&](const Layout& layout) {
    std::vector<bool> reduced(layout.size(), false);
    for (uint32_t axis : reduce.axes) reduced[PositionOf(layout, axis)] = true;
    return reduced;
  };
  const auto axes = DirectAxes(PhysicalShape(operand.shape, operand.layout), flags(operand.layout));
  if (!axes.empty()) {
    return Emit(node, Reduce{reduce.kind, axes}, {operand.physical}, operand.layout);
  }

  Layout layout = operand.layout;
  Shape form = FormOf(Runs(PhysicalShape(operand.shape, layout), flags(layout)));
  if (form.rank() == 0) {
    for (uint32_t axis : reduce.axes) layout = WithLast(layout, axis);
    form = FormOf(Runs(PhysicalShape(operand.shape, layout), flags(layout)));
  }
  Shape reduced_form = form;
  reduced_form.Set(1, 1);
  const TensorIndex shaped =
      EmitPlain(node.name + ".shaped", graph::Reshape{}, InLayout(operand, layout), form);
  const TensorIndex result = EmitPlain(node.name, Reduce{reduce.kind, {1U}}, shaped, reduced_form);
  const Value value{result, {}, {}, {}};
  return Reshaped(value, logical_.shape(node.output), layout, node.name + ".kept");
}

}  // namespace coracle::passes

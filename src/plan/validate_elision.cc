// Elision: whether a Concat, Slice or Reshape that does nothing may do nothing (of all inputs).
#include "plan/validate_regions.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

/// True if `part` lies in `whole` where its pixel `pixel` and channel byte `byte` are.
bool LiesAt(const Region& part, const Region& whole, uint64_t pixel, uint64_t byte) {
  return part.begin == whole.begin + pixel * whole.pitch + byte &&
         (part.count == 1 || part.pitch == whole.pitch);
}

/// Elements behind one step along `axis`, channels not counted; axes before it must all be 1.
bool PixelsPerStep(const Shape& shape, uint32_t axis, uint64_t& pixels) {
  for (uint32_t i = 0; i < axis; ++i) {
    if (shape[i] != 1) return false;
  }
  pixels = 1;
  for (uint32_t i = axis + 1; i + 1 < shape.rank(); ++i) pixels *= shape[i];
  return true;
}

bool ConcatCoincides(const Ledger& ledger, const Node& node) {
  const Graph& graph = ledger.convoy.all();
  const Region out = ledger.of(node.output).region;
  const Shape& shape = graph.shape(node.output);
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
  const bool channels = axis + 1 == shape.rank();
  uint64_t step_pixels = 0;
  if (!channels && !PixelsPerStep(shape, axis, step_pixels)) return false;
  uint64_t pixel = 0;
  uint64_t byte = 0;
  for (TensorIndex input : node.inputs) {
    if (!LiesAt(ledger.of(input).region, out, pixel, byte)) return false;
    const uint64_t extent = graph.shape(input)[axis];
    if (channels) {
      byte += extent * ledger.extent(node.output).element_bytes;
    } else {
      pixel += extent * step_pixels;
    }
  }
  return true;
}

bool SliceCoincides(const Ledger& ledger, const Node& node) {
  const graph::Slice& slice = std::get<graph::Slice>(node.attrs);
  const Shape& in = ledger.convoy.all().shape(node.inputs[0]);
  const Shape& out = ledger.convoy.all().shape(node.output);
  uint64_t pixel = 0;
  uint64_t byte = 0;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    if (in[axis] == out[axis] && slice.starts[axis] == 0) continue;
    if (out[axis] != 1 && slice.steps[axis] != 1) return false;
    const auto start = static_cast<uint64_t>(slice.starts[axis]);
    uint64_t step_pixels = 0;
    if (axis + 1 == in.rank()) {
      byte += start * ledger.extent(node.output).element_bytes;
    } else if (PixelsPerStep(in, axis, step_pixels)) {
      pixel += start * step_pixels;
    } else {
      return false;
    }
  }
  return LiesAt(ledger.of(node.output).region, ledger.of(node.inputs[0]).region, pixel, byte);
}

bool ReshapeCoincides(const Ledger& ledger, const Node& node) {
  const Region in = ledger.of(node.inputs[0]).region;
  const Region out = ledger.of(node.output).region;
  if (in.begin != out.begin) return false;
  if (in.contiguous() && out.contiguous()) return true;
  return in.width == out.width && in.count == out.count && in.pitch == out.pitch;
}

}  // namespace

Status CheckElision(const Ledger& ledger, const Step& step) {
  const Node& node = ledger.node(step.parts[0]);
  const Part& part = step.parts[0];
  const bool idle = step.form == Form::kLayer && step.parts.size() == 1 && step.windows.empty() &&
                    step.actions.empty() && step.workers == 1 && step.slots.empty() &&
                    step.workspaces.empty() && part.weights == WeightsMode::kNone &&
                    part.split == Split::kNone && part.held.bytes == 0;
  if (!idle || !node.weights.chunks.empty() || node.residual != graph::Residual::kNone ||
      node.activation.kind != graph::ActivationKind::kNone) {
    return StepError(node, "is elided and has work to do");
  }
  bool in_pool = ledger.home(node.output).home == Home::kPool;
  for (TensorIndex input : node.inputs) {
    in_pool = in_pool && ledger.home(input).home == Home::kPool;
    if (ledger.graph.tensor(input).dtype != ledger.graph.tensor(node.output).dtype) {
      return StepError(node, "is elided, and its operands are of another type");
    }
  }
  if (!in_pool) return StepError(node, "is elided, and not all its tensors are in the pool");
  bool coincides = false;
  if (node.kind() == OpKind::kConcat) coincides = ConcatCoincides(ledger, node);
  if (node.kind() == OpKind::kSlice) coincides = SliceCoincides(ledger, node);
  if (node.kind() == OpKind::kReshape) coincides = ReshapeCoincides(ledger, node);
  return coincides ? Status() : StepError(node, "is elided, and its output lies elsewhere");
}

}  // namespace coracle::plan

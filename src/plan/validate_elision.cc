// Elision: whether a Concat, Slice or Reshape that does nothing may do nothing.
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

bool ConcatCoincides(const Graph& graph, const Plan& plan, const Node& node) {
  const Region out = PlacedRegion(graph, plan, node.output);
  const Shape& shape = graph.shape(node.output);
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
  const bool channels = axis + 1 == shape.rank();
  uint64_t step_pixels = 0;
  if (!channels && !PixelsPerStep(shape, axis, step_pixels)) return false;
  uint64_t pixel = 0;
  uint64_t byte = 0;
  for (TensorIndex input : node.inputs) {
    if (!LiesAt(PlacedRegion(graph, plan, input), out, pixel, byte)) return false;
    const uint64_t extent = graph.shape(input)[axis];
    if (channels) {
      byte += extent * sizeof(float);
    } else {
      pixel += extent * step_pixels;
    }
  }
  return true;
}

bool SliceCoincides(const Graph& graph, const Plan& plan, const Node& node) {
  const graph::Slice& slice = std::get<graph::Slice>(node.attrs);
  const Shape& in = graph.shape(node.inputs[0]);
  const Shape& out = graph.shape(node.output);
  uint64_t pixel = 0;
  uint64_t byte = 0;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    if (in[axis] == out[axis] && slice.starts[axis] == 0) continue;
    if (out[axis] != 1 && slice.steps[axis] != 1) return false;
    const auto start = static_cast<uint64_t>(slice.starts[axis]);
    uint64_t step_pixels = 0;
    if (axis + 1 == in.rank()) {
      byte += start * sizeof(float);
    } else if (PixelsPerStep(in, axis, step_pixels)) {
      pixel += start * step_pixels;
    } else {
      return false;
    }
  }
  return LiesAt(PlacedRegion(graph, plan, node.output), PlacedRegion(graph, plan, node.inputs[0]),
                pixel, byte);
}

bool ReshapeCoincides(const Graph& graph, const Plan& plan, const Node& node) {
  const Region in = PlacedRegion(graph, plan, node.inputs[0]);
  const Region out = PlacedRegion(graph, plan, node.output);
  if (in.begin != out.begin) return false;
  if (in.contiguous() && out.contiguous()) return true;
  return in.width == out.width && in.count == out.count && in.pitch == out.pitch;
}

}  // namespace

Status CheckElision(const Graph& graph, const Plan& plan, const Step& step) {
  const Node& node = graph.node(step.node);
  const bool idle = step.form == Form::kLayer && step.weights == WeightsMode::kNone &&
                    step.split == Split::kNone && step.workers == 1 && step.slots.empty() &&
                    step.workspaces.empty() && step.held.bytes == 0 && step.band_rows == 0;
  if (!idle || !node.weights.chunks.empty() || node.residual != graph::Residual::kNone ||
      node.activation.kind != graph::ActivationKind::kNone) {
    return StepError(node, "is elided and has work to do");
  }
  bool coincides = false;
  if (node.kind() == OpKind::kConcat) coincides = ConcatCoincides(graph, plan, node);
  if (node.kind() == OpKind::kSlice) coincides = SliceCoincides(graph, plan, node);
  if (node.kind() == OpKind::kReshape) coincides = ReshapeCoincides(graph, plan, node);
  return coincides ? Status() : StepError(node, "is elided, and its output lies elsewhere");
}

}  // namespace coracle::plan

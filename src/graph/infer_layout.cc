// Shape rules of the operators that move elements, and of broadcasting.
#include <fmt/format.h>

#include <algorithm>

#include "graph/infer_rules.h"
#include "graph/verify.h"

namespace coracle::graph {

Result<Shape> BroadcastShapes(const ShapeCall& call, const Shape& a, const Shape& b) {
  const uint32_t rank = std::max(a.rank(), b.rank());
  Shape out;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const uint32_t from_end = rank - 1 - axis;
    const uint32_t dim_a = from_end < a.rank() ? a.Back(from_end) : 1;
    const uint32_t dim_b = from_end < b.rank() ? b.Back(from_end) : 1;
    if (dim_a != dim_b && dim_a != 1 && dim_b != 1) {
      return ShapeError(call,
                        fmt::format("{} and {} do not broadcast", a.ToString(), b.ToString()));
    }
    out.Append(std::max(dim_a, dim_b));
  }
  return out;
}

Result<Shape> InferConcat(const Concat& attrs, const ShapeCall& call) {
  Shape out = call.input();
  if (attrs.axis >= out.rank()) return ShapeError(call, "its axis does not exist");
  uint64_t sum = 0;
  for (const Shape& input : call.inputs) {
    if (input.rank() != out.rank()) return ShapeError(call, "its inputs differ in rank");
    for (uint32_t axis = 0; axis < out.rank(); ++axis) {
      if (axis != attrs.axis && input[axis] != out[axis]) {
        return ShapeError(call, fmt::format("{} and {} differ beside axis {}", out.ToString(),
                                            input.ToString(), attrs.axis));
      }
    }
    sum += input[attrs.axis];
  }
  if (sum > kMaxDimension) return ShapeError(call, "its result is too long");
  out.Set(attrs.axis, static_cast<uint32_t>(sum));
  return out;
}

Result<Shape> InferSlice(const Slice& attrs, const ShapeCall& call) {
  const Shape& in = call.input();
  const Shape& out = call.declared;
  if (attrs.starts.size() != in.rank() || attrs.steps.size() != in.rank() ||
      out.rank() != in.rank()) {
    return ShapeError(call, "needs one start, step and output dimension per axis");
  }
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    const int64_t start = attrs.starts[axis];
    const int64_t step = attrs.steps[axis];
    const int64_t limit = in[axis];
    const bool start_ok = start >= 0 && start < limit;
    const bool step_ok = step != 0 && step > -int64_t{kMaxDimension} && step < kMaxDimension;
    if (!start_ok || !step_ok || out[axis] == 0 || out[axis] > in[axis]) {
      return ShapeError(call, fmt::format("start {} step {} count {} does not fit {} (axis {})",
                                          start, step, out[axis], limit, axis));
    }
    const int64_t last = start + (int64_t{out[axis]} - 1) * step;
    if (last < 0 || last >= limit) {
      return ShapeError(
          call, fmt::format("its last element {} is outside of {} (axis {})", last, limit, axis));
    }
  }
  return out;
}

Result<Shape> InferTranspose(const Transpose& attrs, const ShapeCall& call) {
  const Shape& in = call.input();
  if (attrs.perm.size() != in.rank()) return ShapeError(call, "its permutation has another rank");
  Shape out;
  uint32_t seen = 0;
  for (uint32_t axis : attrs.perm) {
    if (axis >= in.rank() || ((seen >> axis) & 1U) != 0) {
      return ShapeError(call, "its axes are no permutation");
    }
    seen |= 1U << axis;
    out.Append(in[axis]);
  }
  return out;
}

Result<Shape> InferReshape(const Reshape& /*attrs*/, const ShapeCall& call) {
  const auto elements = call.declared.CheckedElements();
  if (!elements || *elements != call.input().Elements()) {
    return ShapeError(call, fmt::format("{} does not have the elements of {}",
                                        call.declared.ToString(), call.input().ToString()));
  }
  return call.declared;
}

Result<Shape> InferPad(const Pad& attrs, const ShapeCall& call) {
  Shape out = call.input();
  if (attrs.mode > PadMode::kEdge) return ShapeError(call, "its mode does not exist");
  if (attrs.before.size() != out.rank() || attrs.after.size() != out.rank()) {
    return ShapeError(call, "needs pads for every axis");
  }
  for (uint32_t axis = 0; axis < out.rank(); ++axis) {
    const uint64_t before = attrs.before[axis];
    const uint64_t after = attrs.after[axis];
    if (attrs.mode == PadMode::kReflect && (before >= out[axis] || after >= out[axis])) {
      return ShapeError(call, fmt::format("reflects {},{} of only {}", before, after, out[axis]));
    }
    if (before + after + out[axis] > kMaxDimension) return ShapeError(call, "pads too far");
    out.Set(axis, static_cast<uint32_t>(before + after + out[axis]));
  }
  return out;
}

}  // namespace coracle::graph

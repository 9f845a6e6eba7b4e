#include "import/onnx/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace coracle::import {
namespace {

Result<Shape> FlattenTarget(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const int64_t axis, node.Int("axis", 1));
  const int64_t rank = in.rank();
  const int64_t resolved = axis < 0 ? axis + rank : axis;
  if (resolved < 0 || resolved > rank) return node.Malformed("its axis does not exist");
  int64_t rows = 1;
  int64_t columns = 1;
  for (uint32_t i = 0; i < in.rank(); ++i) {
    int64_t& product = i < resolved ? rows : columns;
    if (__builtin_mul_overflow(product, int64_t{in[i]}, &product)) {
      return node.Malformed("its shape overflows");
    }
  }
  const int64_t dims[] = {rows, columns};
  return ToShape(dims, node.Where());
}

Result<Shape> SqueezeTarget(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.IntsOrInput("axes", 1));
  TRY_ASSIGN(const std::vector<uint32_t> axes, ResolveAxes(listed, in.rank(), node.Where()));
  Shape out;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    const bool named = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (named && in[axis] != 1) {
      return node.Malformed(fmt::format("axis {} of {} is not 1", axis, in.ToString()));
    }
    if (!named && !(listed.empty() && in[axis] == 1)) out.Append(in[axis]);
  }
  return out;
}

Result<Shape> UnsqueezeTarget(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.IntsOrInput("axes", 1));
  const auto rank = static_cast<uint32_t>(std::min<size_t>(in.rank() + listed.size(), 64));
  if (rank > kMaxRank) return node.Unsupported(fmt::format("gives rank {}", rank));
  TRY_ASSIGN(const std::vector<uint32_t> axes, ResolveAxes(listed, rank, node.Where()));
  Shape out;
  uint32_t from = 0;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const bool added = std::find(axes.begin(), axes.end(), axis) != axes.end();
    out.Append(added ? 1 : in[from++]);
  }
  return out;
}

Result<Shape> GivenShape(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(std::vector<int64_t> dims, node.IntsOrInput("shape", 1));
  TRY_ASSIGN(const int64_t allow_zero, node.Int("allowzero", 0));
  int64_t known = 1;
  int64_t* open = nullptr;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && allow_zero == 0) {
      if (i >= in.rank()) return node.Malformed("copies a dimension that its input has not");
      dims[i] = in[static_cast<uint32_t>(i)];
    }
    if (dims[i] == -1 && open == nullptr) {
      open = &dims[i];
    } else if (dims[i] < 0 || __builtin_mul_overflow(known, dims[i], &known)) {
      return node.Malformed(fmt::format("its shape has a wrong dimension {}", dims[i]));
    }
  }
  const auto elements = static_cast<int64_t>(in.Elements());
  if (open != nullptr) {
    if (known == 0 || elements % known != 0) {
      return node.Malformed(fmt::format("{} does not divide by {}", in.ToString(), known));
    }
    *open = elements / known;
  } else if (known != elements) {
    return node.Malformed(
        fmt::format("{} elements of {} do not become {}", elements, in.ToString(), known));
  }
  return ToShape(dims, node.Where());
}

/// One axis of a Slice, as the ONNX specification clamps it.
Status NarrowAxis(const OnnxNode& node, SliceRange& range, const Shape& in, uint32_t axis,
                  int64_t start, int64_t end, int64_t step) {
  const int64_t dim = in[axis];
  if (step == 0) return node.Malformed("its step is 0");
  constexpr int64_t kStepMax = std::numeric_limits<int32_t>::max();
  step = std::clamp(step, -kStepMax, kStepMax);
  start = std::clamp(start, -dim - 1, dim);
  end = std::clamp(end, -dim - 1, dim);
  // After the clamp, -dim - 1 stands for everything before the first element.
  if (start < 0) start += dim;
  if (end < 0) end += dim;
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, dim);
    end = std::clamp<int64_t>(end, 0, dim);
  } else {
    start = std::clamp<int64_t>(start, 0, std::max<int64_t>(dim - 1, 0));
    end = std::clamp<int64_t>(end, -1, dim - 1);
  }
  const int64_t span = step > 0 ? end - start : start - end;
  const int64_t stride = step > 0 ? step : -step;
  const int64_t count = span > 0 && dim > 0 ? (span + stride - 1) / stride : 0;
  range.starts[axis] = start;
  range.steps[axis] = count > 1 ? step : 1;
  range.result.Set(axis, static_cast<uint32_t>(count));
  return {};
}

}  // namespace

Result<Shape> ReshapeTarget(const OnnxNode& node, const Shape& in) {
  const std::string& type = node.proto().op_type();
  if (type == "Flatten") return FlattenTarget(node, in);
  if (type == "Squeeze") return SqueezeTarget(node, in);
  if (type == "Unsqueeze") return UnsqueezeTarget(node, in);
  return GivenShape(node, in);
}

Result<std::vector<uint32_t>> TransposePerm(const OnnxNode& node, uint32_t rank) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.Ints("perm"));
  std::vector<uint32_t> perm(rank);
  if (!node.Has("perm")) {
    std::iota(perm.rbegin(), perm.rend(), 0U);
    return perm;
  }
  TRY_ASSIGN(const std::vector<uint32_t> sorted, ResolveAxes(listed, rank, node.Where()));
  if (sorted.size() != rank) return node.Malformed("its perm is no permutation");
  for (uint32_t i = 0; i < rank; ++i) {
    TRY_ASSIGN(perm[i], ResolveAxis(listed[i], rank, node.Where()));
  }
  return perm;
}

SliceRange WholeRange(const Shape& in) {
  return {std::vector<int64_t>(in.rank(), 0), std::vector<int64_t>(in.rank(), 1), in};
}

Result<SliceRange> ResolveSlice(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const std::vector<int64_t> starts, node.IntsOrInput("starts", 1));
  TRY_ASSIGN(const std::vector<int64_t> ends, node.IntsOrInput("ends", 2));
  TRY_ASSIGN(std::vector<int64_t> axes, node.IntsOrInput("axes", 3));
  TRY_ASSIGN(std::vector<int64_t> steps, node.IntsOrInput("steps", 4));
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.resize(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return node.Malformed("starts, ends, axes and steps differ in length");
  }
  TRY(ResolveAxes(axes, in.rank(), node.Where()));  // none twice
  SliceRange range = WholeRange(in);
  for (size_t i = 0; i < axes.size(); ++i) {
    TRY_ASSIGN(const uint32_t axis, ResolveAxis(axes[i], in.rank(), node.Where()));
    TRY(NarrowAxis(node, range, in, axis, starts[i], ends[i], steps[i]));
  }
  return range;
}

Result<SplitPieces> ResolveSplit(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const int64_t listed_axis, node.Int("axis", 0));
  SplitPieces pieces;
  TRY_ASSIGN(pieces.axis, ResolveAxis(listed_axis, in.rank(), node.Where()));
  TRY_ASSIGN(const std::vector<int64_t> sizes, node.IntsOrInput("split", 1));
  const int64_t dim = in[pieces.axis];
  int64_t left = dim;
  if (sizes.empty()) {
    const int64_t count = node.proto().output_size();
    if (count == 0) return node.Malformed("has no outputs");
    const int64_t each = (dim + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t size = std::min(each, left);
      pieces.sizes.push_back(static_cast<uint32_t>(size));
      left -= size;
    }
    return pieces;
  }
  for (const int64_t size : sizes) {
    if (size < 0 || size > left) return node.Malformed("its pieces do not add up to its input");
    pieces.sizes.push_back(static_cast<uint32_t>(size));
    left -= size;
  }
  if (left != 0 || static_cast<size_t>(node.proto().output_size()) != sizes.size()) {
    return node.Malformed("its pieces do not add up to its input and outputs");
  }
  return pieces;
}

Result<Shape> Broadcast(const OnnxNode& node, const Shape& a, const Shape& b) {
  const uint32_t rank = std::max(a.rank(), b.rank());
  Shape out;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const uint32_t from_end = rank - 1 - axis;
    const uint32_t dim_a = from_end < a.rank() ? a.Back(from_end) : 1;
    const uint32_t dim_b = from_end < b.rank() ? b.Back(from_end) : 1;
    if (dim_a != dim_b && dim_a != 1 && dim_b != 1) {
      return node.Malformed(fmt::format("{} and {} do not broadcast", a.ToString(), b.ToString()));
    }
    out.Append(dim_a == 1 ? dim_b : dim_a);
  }
  TRY(CheckElementCount(out, node.Where()));
  return out;
}

Result<Shape> ExpandTarget(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const std::vector<int64_t> dims, node.Integers(1));
  TRY_ASSIGN(const Shape wanted, ToShape(dims, node.Where()));
  return Broadcast(node, in, wanted);
}

Result<ReduceAxes> ResolveReduce(const OnnxNode& node, const Shape& in) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.IntsOrInput("axes", 1));
  TRY_ASSIGN(const int64_t keep, node.Int("keepdims", 1));
  TRY_ASSIGN(const int64_t noop, node.Int("noop_with_empty_axes", 0));
  ReduceAxes result;
  TRY_ASSIGN(result.axes, ResolveAxes(listed, in.rank(), node.Where()));
  if (listed.empty() && noop == 0) {
    result.axes.resize(in.rank());
    std::iota(result.axes.begin(), result.axes.end(), 0U);
  }
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    const bool reduced =
        std::find(result.axes.begin(), result.axes.end(), axis) != result.axes.end();
    result.kept.Append(reduced ? 1 : in[axis]);
    if (!reduced || keep != 0) result.dropped.Append(reduced ? 1 : in[axis]);
  }
  return result;
}

}  // namespace coracle::import

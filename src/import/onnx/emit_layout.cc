// Operators that move elements.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/verify.h"
#include "import/onnx/array.h"
#include "import/onnx/emit.h"
#include "import/onnx/layout.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

// Most pieces that a Gather with irregular indices is cut into.
constexpr size_t kGatherRunsMax = 256;

EmitResult EmitRange(const std::string& name, GraphBuilder& builder, TensorIndex x,
                     const SliceRange& range) {
  return builder.Slice(name, x, {range.starts, range.steps}, range.result);
}

/// Elements start, start + step, ... (count of them) along one axis.
struct Run {
  int64_t start = 0;
  int64_t step = 1;
  uint32_t count = 0;
};

/// The fewest runs that a left-to-right walk finds.
std::vector<Run> RunsOf(std::span<const int64_t> indices) {
  std::vector<Run> runs;
  for (const int64_t index : indices) {
    if (!runs.empty()) {
      Run& last = runs.back();
      const int64_t step = index - (last.start + last.step * (last.count - 1));
      if (last.count == 1 && step != 0) {
        last.step = step;
        ++last.count;
        continue;
      }
      if (last.count > 1 && step == last.step) {
        ++last.count;
        continue;
      }
    }
    runs.push_back({index, 1, 1});
  }
  return runs;
}

EmitResult GatherAlong(const OnnxNode& node, GraphBuilder& builder, TensorIndex x, uint32_t axis,
                       std::span<const int64_t> indices) {
  const std::vector<Run> runs = RunsOf(indices);
  if (runs.empty()) return node.Unsupported("gathers nothing");
  if (runs.size() > kGatherRunsMax) {
    return node.Unsupported(
        fmt::format("its indices make {} runs, at most {}", runs.size(), kGatherRunsMax));
  }
  std::vector<TensorIndex> parts;
  for (const Run& run : runs) {
    SliceRange range = WholeRange(builder.shape(x));
    range.starts[axis] = run.start;
    range.steps[axis] = run.count > 1 ? run.step : 1;
    range.result.Set(axis, run.count);
    TRY_ASSIGN(const TensorIndex part, EmitRange(node.name() + "/run", builder, x, range));
    parts.push_back(part);
  }
  if (parts.size() == 1) return parts[0];
  return builder.Emit(node.name(), {.attrs = graph::Concat{axis}, .inputs = std::move(parts)});
}

struct Pads {
  std::vector<int64_t> before;
  std::vector<int64_t> after;
};

Result<Pads> ReadPads(const OnnxNode& node, uint32_t rank) {
  TRY_ASSIGN(const std::vector<int64_t> listed, node.IntsOrInput("pads", 1));
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (node.HasInput(3)) {
    TRY_ASSIGN(axes, node.Integers(3));
  }
  if (listed.size() != 2 * axes.size()) return node.Malformed("needs two pads per axis");
  Pads pads{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    TRY_ASSIGN(const uint32_t axis, ResolveAxis(axes[i], rank, node.Where()));
    pads.before[axis] = listed[i];
    pads.after[axis] = listed[i + axes.size()];
    const int64_t limit = graph::kMaxDimension;
    if (std::max(listed[i], listed[i + axes.size()]) > limit ||
        std::min(listed[i], listed[i + axes.size()]) < -limit) {
      return node.Unsupported("pads too far");
    }
  }
  return pads;
}

/// Negative pads cut: the range that is left of `in`.
Result<SliceRange> CutRange(const OnnxNode& node, const Shape& in, const Pads& pads) {
  SliceRange range = WholeRange(in);
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    const int64_t front = std::max<int64_t>(-pads.before[axis], 0);
    const int64_t back = std::max<int64_t>(-pads.after[axis], 0);
    if (front + back >= in[axis]) return node.Unsupported("its negative pads leave nothing");
    range.starts[axis] = front;
    range.result.Set(axis, static_cast<uint32_t>(in[axis] - front - back));
  }
  return range;
}

Result<graph::Pad> ReadPadMode(const OnnxNode& node) {
  graph::Pad pad;
  TRY_ASSIGN(const std::string mode, node.String("mode", "constant"));
  if (mode == "reflect") {
    pad.mode = graph::PadMode::kReflect;
  } else if (mode == "edge") {
    pad.mode = graph::PadMode::kEdge;
  } else if (mode != "constant") {
    return node.Unsupported("its mode is none of constant, reflect, edge");
  }
  TRY_ASSIGN(pad.value, node.Float("value", 0));
  if (node.HasInput(2)) {
    TRY_ASSIGN(const std::vector<float> value, node.Floats(2));
    if (value.size() != 1) return node.Malformed("its value must be a scalar");
    pad.value = value[0];
  }
  return pad;
}

Result<uint32_t> BlockSize(const OnnxNode& node, const Shape& shape) {
  TRY_ASSIGN(const int64_t block, node.Int("blocksize", 0));
  if (shape.rank() != 4 || block < 1 || block > 1024) {
    return node.Malformed("needs N,C,H,W and a blocksize of 1 to 1024");
  }
  return static_cast<uint32_t>(block);
}

}  // namespace

EmitResult EmitReshape(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const Shape shape, ReshapeTarget(node, builder.shape(x)));
  return builder.Reshape(node.name(), x, shape);
}

EmitResult EmitTranspose(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(std::vector<uint32_t> perm, TransposePerm(node, builder.shape(x).rank()));
  return builder.Transpose(node.name(), x, std::move(perm));
}

EmitResult EmitConcat(const OnnxNode& node, GraphBuilder& builder) {
  std::vector<TensorIndex> parts;
  for (size_t i = 0; i < node.input_count(); ++i) {
    TRY_ASSIGN(const Value part, node.Input(i));
    // A constant of no elements adds nothing.
    if (part.is_constant() && part.shape.Elements() == 0) continue;
    TRY_ASSIGN(const TensorIndex tensor, node.Tensor(i));
    parts.push_back(tensor);
  }
  if (parts.empty()) return node.Malformed("has no inputs");
  TRY_ASSIGN(const int64_t listed, node.Int("axis", 1));
  TRY_ASSIGN(const uint32_t axis,
             ResolveAxis(listed, builder.shape(parts[0]).rank(), node.Where()));
  if (parts.size() == 1) return parts[0];
  return builder.Emit(node.name(), {.attrs = graph::Concat{axis}, .inputs = std::move(parts)});
}

Result<std::vector<TensorIndex>> EmitSplit(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const SplitPieces pieces, ResolveSplit(node, builder.shape(x)));
  std::vector<TensorIndex> parts;
  int64_t start = 0;
  for (const uint32_t size : pieces.sizes) {
    SliceRange range = WholeRange(builder.shape(x));
    range.starts[pieces.axis] = start;
    range.result.Set(pieces.axis, size);
    start += size;
    TRY_ASSIGN(const TensorIndex part, EmitRange(node.name(), builder, x, range));
    parts.push_back(part);
  }
  return parts;
}

EmitResult EmitSlice(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const SliceRange range, ResolveSlice(node, builder.shape(x)));
  if (range.result.Elements() == 0) return node.Unsupported("its result is empty");
  return EmitRange(node.name(), builder, x, range);
}

EmitResult EmitGather(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape shape = builder.shape(x);
  TRY_ASSIGN(const int64_t listed, node.Int("axis", 0));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed, shape.rank(), node.Where()));
  TRY_ASSIGN(const ConstantPtr index, node.Constant(1));
  TRY_ASSIGN(std::vector<int64_t> indices, node.Integers(1));
  for (int64_t& at : indices) {
    TRY_ASSIGN(at, ResolveAxis(at, shape[axis], node.Where()));
  }
  TRY_ASSIGN(const TensorIndex rows, GatherAlong(node, builder, x, axis, indices));
  std::vector<int64_t> dims;
  for (uint32_t i = 0; i < axis; ++i) dims.push_back(shape[i]);
  for (const uint32_t dim : index->shape.dims()) dims.push_back(dim);
  for (uint32_t i = axis + 1; i < shape.rank(); ++i) dims.push_back(shape[i]);
  TRY_ASSIGN(const Shape result, ToShape(dims, node.Where()));
  return builder.Reshape(node.name() + "/shape", rows, result);
}

EmitResult EmitExpand(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape shape = builder.shape(x);
  TRY_ASSIGN(const Shape target, ExpandTarget(node, shape));
  if (target == shape) return x;
  // x times ones, which are only as long as the axes that grow.
  Shape ones = target;
  const uint32_t shift = target.rank() - shape.rank();
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == target[axis + shift]) ones.Set(axis + shift, 1);
  }
  const uint64_t elements = ones.Elements();
  if (elements == 0 || elements > graph::kMaxDimension) {
    return node.Unsupported(
        fmt::format("cannot expand {} to {}", shape.ToString(), target.ToString()));
  }
  return builder.CombineConstant(
      node.name(), graph::BinaryKind::kMul, x,
      MakeFloatConstant(node.name() + "/ones", ones, std::vector<float>(elements, 1.0F)));
}

EmitResult EmitTile(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(const std::vector<int64_t> repeats, node.Integers(1));
  if (repeats.size() != builder.shape(x).rank()) return node.Malformed("needs a repeat per axis");
  for (uint32_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis] == 1) continue;
    if (repeats[axis] < 1 || repeats[axis] > graph::kMaxInputsPerNode) {
      return node.Unsupported(fmt::format("repeats {} times", repeats[axis]));
    }
    std::vector<TensorIndex> copies(static_cast<size_t>(repeats[axis]), x);
    TRY_ASSIGN(
        x, builder.Emit(node.name(), {.attrs = graph::Concat{axis}, .inputs = std::move(copies)}));
  }
  return x;
}

EmitResult EmitPad(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape shape = builder.shape(x);
  TRY_ASSIGN(const Pads pads, ReadPads(node, shape.rank()));
  TRY_ASSIGN(const SliceRange cut, CutRange(node, shape, pads));
  TRY_ASSIGN(const TensorIndex inner, EmitRange(node.name() + "/cut", builder, x, cut));
  TRY_ASSIGN(graph::Pad pad, ReadPadMode(node));
  if (builder.element(x) == DType::kInt8) pad.value += 128;
  bool grows = false;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
    pad.before.push_back(static_cast<uint32_t>(std::max<int64_t>(pads.before[axis], 0)));
    pad.after.push_back(static_cast<uint32_t>(std::max<int64_t>(pads.after[axis], 0)));
    grows = grows || pad.before.back() > 0 || pad.after.back() > 0;
  }
  if (!grows) return inner;
  return builder.Emit(node.name(), {.attrs = std::move(pad), .inputs = {inner}});
}

EmitResult EmitDepthToSpace(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape s = builder.shape(x);
  TRY_ASSIGN(const uint32_t b, BlockSize(node, s));
  TRY_ASSIGN(const std::string mode, node.String("mode", "DCR"));
  if (s[1] % (b * b) != 0) return node.Malformed("its blocks do not divide its channels");
  const uint32_t depth = s[1] / (b * b);
  const bool depth_first = mode != "CRD";
  const Shape cut =
      depth_first ? Shape{s[0], b, b, depth, s[2], s[3]} : Shape{s[0], depth, b, b, s[2], s[3]};
  std::vector<uint32_t> perm = {0, 3, 4, 1, 5, 2};
  if (!depth_first) perm = {0, 1, 4, 2, 5, 3};
  TRY_ASSIGN(const TensorIndex blocks, builder.Reshape(node.name() + "/blocks", x, cut));
  TRY_ASSIGN(const TensorIndex turned,
             builder.Transpose(node.name() + "/turned", blocks, std::move(perm)));
  const int64_t dims[] = {s[0], depth, int64_t{s[2]} * b, int64_t{s[3]} * b};
  TRY_ASSIGN(const Shape result, ToShape(dims, node.Where()));
  return builder.Reshape(node.name(), turned, result);
}

EmitResult EmitSpaceToDepth(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape s = builder.shape(x);
  TRY_ASSIGN(const uint32_t b, BlockSize(node, s));
  if (s[2] % b != 0 || s[3] % b != 0) return node.Malformed("its blocks do not divide its image");
  TRY_ASSIGN(const TensorIndex blocks,
             builder.Reshape(node.name() + "/blocks", x, {s[0], s[1], s[2] / b, b, s[3] / b, b}));
  TRY_ASSIGN(const TensorIndex turned,
             builder.Transpose(node.name() + "/turned", blocks, {0, 3, 5, 1, 2, 4}));
  const int64_t dims[] = {s[0], int64_t{s[1]} * b * b, s[2] / b, s[3] / b};
  TRY_ASSIGN(const Shape result, ToShape(dims, node.Where()));
  return builder.Reshape(node.name(), turned, result);
}

}  // namespace coracle::import

// Folding of operators that move elements without looking at them.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "import/onnx/fold.h"
#include "import/onnx/layout.h"

namespace coracle::import {
namespace {

/// A new constant of `shape` whose elements are `in`'s, read with the given start and strides.
FoldResult Rearrange(FoldBudget& budget, const ConstantPtr& in, const Shape& shape, int64_t start,
                     std::span<const int64_t> strides) {
  TRY(budget.Spend(shape, in->dtype));
  const size_t element_bytes = DTypeBytes(in->dtype);
  std::vector<std::byte> bytes(shape.Elements() * element_bytes);
  std::byte* to = bytes.data();
  ForEachElement(shape, start, strides, [&](int64_t from) {
    std::memcpy(to, in->bytes.data() + static_cast<size_t>(from) * element_bytes, element_bytes);
    to += element_bytes;
  });
  return StoreBytes(in->dtype, shape, std::move(bytes));
}

FoldResult TakeRange(FoldBudget& budget, const ConstantPtr& in, const SliceRange& range) {
  if (range.result == in->shape &&
      std::all_of(range.steps.begin(), range.steps.end(), [](int64_t s) { return s == 1; })) {
    return in;
  }
  const std::vector<uint64_t> own = StridesOf(in->shape);
  std::vector<int64_t> strides(own.size());
  int64_t start = 0;
  for (size_t axis = 0; axis < own.size(); ++axis) {
    start += range.starts[axis] * static_cast<int64_t>(own[axis]);
    strides[axis] = range.steps[axis] * static_cast<int64_t>(own[axis]);
  }
  return Rearrange(budget, in, range.result, start, strides);
}

/// Elements before and after `axis` as one outer count and one inner run of bytes.
struct AxisRuns {
  uint64_t outer = 1;
  uint64_t inner_bytes = 1;
};
AxisRuns RunsAround(const Shape& shape, uint32_t axis, DType dtype) {
  AxisRuns runs;
  for (uint32_t i = 0; i < axis; ++i) runs.outer *= shape[i];
  for (uint32_t i = axis + 1; i < shape.rank(); ++i) runs.inner_bytes *= shape[i];
  runs.inner_bytes *= DTypeBytes(dtype);
  return runs;
}

}  // namespace

FoldResult FoldIdentity(const OnnxNode& node, FoldBudget& /*budget*/) { return node.Constant(0); }

FoldResult FoldReshape(const OnnxNode& node, FoldBudget& /*budget*/) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const Shape shape, ReshapeTarget(node, x->shape));
  return WithShape(x, shape);
}

FoldResult FoldTranspose(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const std::vector<uint32_t> perm, TransposePerm(node, x->shape.rank()));
  const std::vector<uint64_t> own = StridesOf(x->shape);
  Shape shape;
  std::vector<int64_t> strides;
  for (const uint32_t axis : perm) {
    shape.Append(x->shape[axis]);
    strides.push_back(static_cast<int64_t>(own[axis]));
  }
  return Rearrange(budget, x, shape, 0, strides);
}

FoldResult FoldSlice(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const SliceRange range, ResolveSlice(node, x->shape));
  return TakeRange(budget, x, range);
}

Result<std::vector<ConstantPtr>> FoldSplit(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const SplitPieces pieces, ResolveSplit(node, x->shape));
  std::vector<ConstantPtr> parts;
  int64_t start = 0;
  for (const uint32_t size : pieces.sizes) {
    SliceRange range = WholeRange(x->shape);
    range.starts[pieces.axis] = start;
    range.result.Set(pieces.axis, size);
    TRY_ASSIGN(ConstantPtr part, TakeRange(budget, x, range));
    parts.push_back(std::move(part));
    start += size;
  }
  return parts;
}

FoldResult FoldGather(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const std::vector<int64_t> indices, node.Integers(1));
  TRY_ASSIGN(const ConstantPtr index, node.Constant(1));
  TRY_ASSIGN(const int64_t listed_axis, node.Int("axis", 0));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed_axis, x->shape.rank(), node.Where()));
  std::vector<int64_t> dims;
  for (uint32_t i = 0; i < axis; ++i) dims.push_back(x->shape[i]);
  for (const uint32_t dim : index->shape.dims()) dims.push_back(dim);
  for (uint32_t i = axis + 1; i < x->shape.rank(); ++i) dims.push_back(x->shape[i]);
  TRY_ASSIGN(const Shape shape, ToShape(dims, node.Where()));
  TRY(budget.Spend(shape, x->dtype));
  const AxisRuns runs = RunsAround(x->shape, axis, x->dtype);
  std::vector<std::byte> bytes;
  bytes.reserve(shape.Elements() * DTypeBytes(x->dtype));
  for (uint64_t outer = 0; outer < runs.outer; ++outer) {
    for (const int64_t listed : indices) {
      TRY_ASSIGN(const uint32_t at, ResolveAxis(listed, x->shape[axis], node.Where()));
      const uint64_t from = (outer * x->shape[axis] + at) * runs.inner_bytes;
      const Bytes run = x->bytes.subspan(from, runs.inner_bytes);
      bytes.insert(bytes.end(), run.begin(), run.end());
    }
  }
  return StoreBytes(x->dtype, shape, std::move(bytes));
}

FoldResult FoldConcat(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr first, node.Constant(0));
  TRY_ASSIGN(const int64_t listed_axis, node.Int("axis", 1));
  TRY_ASSIGN(const uint32_t axis, ResolveAxis(listed_axis, first->shape.rank(), node.Where()));
  std::vector<ConstantPtr> parts;
  std::vector<int64_t> dims(first->shape.dims().begin(), first->shape.dims().end());
  dims[axis] = 0;
  for (size_t i = 0; i < node.input_count(); ++i) {
    TRY_ASSIGN(ConstantPtr part, node.Constant(i));
    bool fits = part->dtype == first->dtype && part->shape.rank() == first->shape.rank();
    for (uint32_t j = 0; fits && j < part->shape.rank(); ++j) {
      fits = j == axis || part->shape[j] == first->shape[j];
    }
    if (!fits) return node.Malformed("its inputs differ in type, rank or beside the axis");
    dims[axis] += part->shape[axis];
    parts.push_back(std::move(part));
  }
  TRY_ASSIGN(const Shape shape, ToShape(dims, node.Where()));
  TRY(budget.Spend(shape, first->dtype));
  const AxisRuns runs = RunsAround(shape, axis, first->dtype);
  std::vector<std::byte> bytes;
  bytes.reserve(shape.Elements() * DTypeBytes(first->dtype));
  for (uint64_t outer = 0; outer < runs.outer; ++outer) {
    for (const ConstantPtr& part : parts) {
      const uint64_t run_bytes = part->shape[axis] * runs.inner_bytes;
      const Bytes run = part->bytes.subspan(outer * run_bytes, run_bytes);
      bytes.insert(bytes.end(), run.begin(), run.end());
    }
  }
  return StoreBytes(first->dtype, shape, std::move(bytes));
}

FoldResult FoldExpand(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const Shape shape, ExpandTarget(node, x->shape));
  const std::vector<uint64_t> own = StridesOf(x->shape);
  std::vector<int64_t> strides(shape.rank(), 0);
  const uint32_t shift = shape.rank() - x->shape.rank();
  for (uint32_t axis = 0; axis < x->shape.rank(); ++axis) {
    if (x->shape[axis] != 1) strides[axis + shift] = static_cast<int64_t>(own[axis]);
  }
  return Rearrange(budget, x, shape, 0, strides);
}

FoldResult FoldTile(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const std::vector<int64_t> repeats, node.Integers(1));
  if (repeats.size() != x->shape.rank()) return node.Malformed("needs one repeat per axis");
  for (uint32_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis] == 1) continue;
    std::vector<int64_t> dims(x->shape.dims().begin(), x->shape.dims().end());
    if (repeats[axis] < 0 || __builtin_mul_overflow(dims[axis], repeats[axis], &dims[axis])) {
      return node.Malformed(fmt::format("cannot repeat {} times", repeats[axis]));
    }
    TRY_ASSIGN(const Shape shape, ToShape(dims, node.Where()));
    TRY(budget.Spend(shape, x->dtype));
    const AxisRuns runs = RunsAround(x->shape, axis, x->dtype);
    const uint64_t run_bytes = x->shape[axis] * runs.inner_bytes;
    std::vector<std::byte> bytes;
    bytes.reserve(shape.Elements() * DTypeBytes(x->dtype));
    for (uint64_t outer = 0; outer < runs.outer && run_bytes > 0; ++outer) {
      const Bytes run = x->bytes.subspan(outer * run_bytes, run_bytes);
      for (int64_t i = 0; i < repeats[axis]; ++i) bytes.insert(bytes.end(), run.begin(), run.end());
    }
    x = StoreBytes(x->dtype, shape, std::move(bytes));
  }
  return x;
}

}  // namespace coracle::import

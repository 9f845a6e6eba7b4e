// Folding of reductions, of products, and of operators that make constants out of sizes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx/fold.h"
#include "import/onnx/layout.h"
#include "import/onnx/tensor_reader.h"

namespace coracle::import {
namespace {

// Most multiply-adds spent on a product of constants.
constexpr uint64_t kFoldMultiplyAddsMax = uint64_t{1} << 32;

template <typename T>
T Accumulate(const std::string& type, T sum, T value) {
  if (type == "ReduceProd") return static_cast<T>(sum * value);
  if (type == "ReduceMax") return std::max(sum, value);
  if (type == "ReduceMin") return std::min(sum, value);
  return static_cast<T>(sum + value);
}

/// Index of each input element in the reduced result.
std::vector<int64_t> ReducedStrides(const Shape& kept) {
  const std::vector<uint64_t> own = StridesOf(kept);
  std::vector<int64_t> strides(own.size(), 0);
  for (uint32_t axis = 0; axis < kept.rank(); ++axis) {
    if (kept[axis] != 1) strides[axis] = static_cast<int64_t>(own[axis]);
  }
  return strides;
}

/// T is double, or uint64_t for integers that wrap; Min and Max compare as `Order`.
template <typename T, typename Order>
std::vector<T> ReduceAll(const std::string& type, const std::vector<T>& values, const Shape& in,
                         const Shape& kept) {
  std::vector<T> sums(kept.Elements(), type == "ReduceProd" ? T{1} : T{0});
  std::vector<bool> seen(sums.size(), false);
  const bool extreme = type == "ReduceMax" || type == "ReduceMin";
  size_t next = 0;
  ForEachElement(in, 0, ReducedStrides(kept), [&](int64_t to) {
    const auto at = static_cast<size_t>(to);
    const T value = values[next++];
    if (extreme && !seen[at]) {
      sums[at] = value;
    } else if (extreme) {
      sums[at] = static_cast<T>(
          Accumulate<Order>(type, static_cast<Order>(sums[at]), static_cast<Order>(value)));
    } else {
      sums[at] = Accumulate<T>(type, sums[at], value);
    }
    seen[at] = true;
  });
  return sums;
}

}  // namespace

FoldResult FoldReduce(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const ReduceAxes axes, ResolveReduce(node, x->shape));
  TRY(budget.Spend(x->shape, DType::kFloat64));
  const std::string& type = node.proto().op_type();
  const uint64_t inputs = x->shape.Elements();
  if (inputs == 0) return node.Unsupported("reduces an empty constant");
  const uint64_t results = axes.kept.Elements();
  if (IsFloating(x->dtype)) {
    std::vector<double> sums =
        ReduceAll<double, double>(type, LoadDoubles(*x), x->shape, axes.kept);
    if (type == "ReduceMean") {
      const uint64_t averaged = inputs / results;
      for (double& sum : sums) sum /= static_cast<double>(averaged);
    }
    return StoreDoubles(x->dtype, axes.dropped, sums);
  }
  const std::vector<int64_t> loaded = LoadIntegers(*x);
  const std::vector<uint64_t> values(loaded.begin(), loaded.end());
  const std::vector<uint64_t> sums =
      ReduceAll<uint64_t, int64_t>(type, values, x->shape, axes.kept);
  std::vector<int64_t> integers(sums.begin(), sums.end());
  if (type == "ReduceMean") {
    for (int64_t& sum : integers) sum /= static_cast<int64_t>(inputs / results);
  }
  return StoreIntegers(x->dtype, axes.dropped, integers);
}

FoldResult FoldConstantOfShape(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const std::vector<int64_t> dims, node.Integers(0));
  TRY_ASSIGN(const Shape shape, ToShape(dims, node.Where()));
  const onnx::AttributeProto* value = node.Find("value");
  if (value == nullptr || !value->has_t()) {
    TRY(budget.Spend(shape, DType::kFloat32));
    return StoreBytes(DType::kFloat32, shape, std::vector<std::byte>(shape.Elements() * 4));
  }
  // One element of a message that outlives this call: read it without an owner, and copy it.
  TensorReader reader(nullptr, "");
  TRY_ASSIGN(const ConstantPtr one, reader.Read(value->t()));
  if (one->shape.Elements() != 1) return node.Malformed("its value must have one element");
  TRY(budget.Spend(shape, one->dtype));
  const size_t element_bytes = one->bytes.size();
  std::vector<std::byte> bytes(shape.Elements() * element_bytes);
  for (size_t at = 0; at < bytes.size(); at += element_bytes) {
    std::copy(one->bytes.begin(), one->bytes.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  }
  return StoreBytes(one->dtype, shape, std::move(bytes));
}

FoldResult FoldRange(const OnnxNode& node, FoldBudget& budget) {
  double bounds[3] = {};
  TRY_ASSIGN(const ConstantPtr first, node.Constant(0));
  for (size_t i = 0; i < 3; ++i) {
    TRY_ASSIGN(const ConstantPtr bound, node.Constant(i));
    if (bound->shape.Elements() != 1) return node.Malformed("its bounds must be scalars");
    bounds[i] = LoadDoubles(*bound)[0];
  }
  const double count = std::max(std::ceil((bounds[1] - bounds[0]) / bounds[2]), 0.0);
  if (bounds[2] == 0 || !std::isfinite(count) || count > std::numeric_limits<int32_t>::max()) {
    return node.Malformed("its bounds give no list");
  }
  const Shape shape{static_cast<uint32_t>(count)};
  TRY(budget.Spend(shape, DType::kFloat64));
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = bounds[0] + static_cast<double>(i) * bounds[2];
  }
  return StoreDoubles(first->dtype, shape, values);
}

FoldResult FoldNonZero(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY(budget.Spend(x->shape, DType::kFloat64));
  const std::vector<double> values = LoadDoubles(*x);
  std::vector<uint64_t> found;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) found.push_back(i);
  }
  const std::vector<uint64_t> strides = StridesOf(x->shape);
  const int64_t dims[] = {static_cast<int64_t>(strides.size()), static_cast<int64_t>(found.size())};
  TRY_ASSIGN(const Shape shape, ToShape(dims, node.Where()));
  TRY(budget.Spend(shape, DType::kInt64));
  std::vector<int64_t> indices;
  for (uint32_t axis = 0; axis < strides.size(); ++axis) {
    for (const uint64_t at : found) {
      indices.push_back(static_cast<int64_t>(at / strides[axis] % x->shape[axis]));
    }
  }
  return StoreIntegers(DType::kInt64, shape, indices);
}

FoldResult FoldMatMul(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr a, node.FloatConstant(0));
  TRY_ASSIGN(const ConstantPtr b, node.FloatConstant(1));
  if (a->shape.rank() != 2 || b->shape.rank() != 2 || a->shape[1] != b->shape[0]) {
    return node.Unsupported("multiplies constants that are no matching matrices");
  }
  const Shape shape{a->shape[0], b->shape[1]};
  const uint64_t inner = a->shape[1];
  TRY(CheckElementCount(shape, node.Where()));
  if (inner > kFoldMultiplyAddsMax / std::max<uint64_t>(shape.Elements(), 1)) {
    return node.Unsupported("multiplies constants that are too large");
  }
  TRY(budget.Spend(shape, DType::kFloat64));
  const std::vector<double> left = LoadDoubles(*a);
  const std::vector<double> right = LoadDoubles(*b);
  std::vector<double> product(shape.Elements(), 0);
  for (uint64_t row = 0; row < shape[0]; ++row) {
    for (uint64_t k = 0; k < inner; ++k) {
      const double factor = left[row * inner + k];
      for (uint64_t column = 0; column < shape[1]; ++column) {
        product[row * shape[1] + column] += factor * right[k * shape[1] + column];
      }
    }
  }
  return StoreDoubles(DType::kFloat32, shape, product);
}

FoldResult FoldShape(const OnnxNode& node, FoldBudget& /*budget*/) {
  TRY_ASSIGN(const Value x, node.Input(0));
  const int64_t rank = x.shape.rank();
  TRY_ASSIGN(int64_t start, node.Int("start", 0));
  TRY_ASSIGN(int64_t end, node.Int("end", rank));
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  std::vector<int64_t> dims;
  for (int64_t axis = start; axis < end; ++axis) {
    dims.push_back(x.shape[static_cast<uint32_t>(axis)]);
  }
  return StoreIntegers(DType::kInt64, Shape{static_cast<uint32_t>(dims.size())}, dims);
}

FoldResult FoldSize(const OnnxNode& node, FoldBudget& /*budget*/) {
  TRY_ASSIGN(const Value x, node.Input(0));
  const int64_t elements[] = {static_cast<int64_t>(x.shape.Elements())};
  return StoreIntegers(DType::kInt64, {}, elements);
}

}  // namespace coracle::import

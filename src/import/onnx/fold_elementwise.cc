// Folding of operators that work element by element, with numpy broadcasting.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "import/onnx/fold.h"
#include "import/onnx/layout.h"
#include "import/onnx/tensor_reader.h"

namespace coracle::import {
namespace {

/// Strides by which `in` is read to give every element of `out`: 0 along broadcast axes.
std::vector<int64_t> BroadcastStrides(const Shape& in, const Shape& out) {
  const std::vector<uint64_t> own = StridesOf(in);
  std::vector<int64_t> strides(out.rank(), 0);
  const uint32_t shift = out.rank() - in.rank();
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    if (in[axis] != 1) strides[axis + shift] = static_cast<int64_t>(own[axis]);
  }
  return strides;
}

/// `elements` of shape `in` repeated so that they fill `out`.
template <typename T>
std::vector<T> Spread(const std::vector<T>& elements, const Shape& in, const Shape& out) {
  std::vector<T> spread;
  spread.reserve(out.Elements());
  ForEachElement(out, 0, BroadcastStrides(in, out),
                 [&](int64_t from) { spread.push_back(elements[static_cast<size_t>(from)]); });
  return spread;
}

double DoubleRule(const std::string& type, double a, double b) {
  if (type == "Add" || type == "Sum") return a + b;
  if (type == "Sub") return a - b;
  if (type == "Mul") return a * b;
  if (type == "Div") return a / b;
  if (type == "Pow") return std::pow(a, b);
  if (type == "Min") return std::isnan(a) || a < b ? a : b;
  if (type == "Max") return std::isnan(a) || a > b ? a : b;
  if (type == "Equal") return a == b ? 1 : 0;
  if (type == "Less") return a < b ? 1 : 0;
  if (type == "LessOrEqual") return a <= b ? 1 : 0;
  if (type == "Greater") return a > b ? 1 : 0;
  if (type == "GreaterOrEqual") return a >= b ? 1 : 0;
  return std::numeric_limits<double>::quiet_NaN();
}

/// Wraps on overflow. Nothing: the operator has no such integer result.
std::optional<int64_t> IntegerPower(int64_t base, int64_t exponent) {
  if (exponent < 0) return std::nullopt;
  uint64_t result = 1;
  auto factor = static_cast<uint64_t>(base);
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
    if ((left & 1) != 0) result *= factor;
    factor *= factor;
  }
  return static_cast<int64_t>(result);
}

std::optional<int64_t> Quotient(int64_t a, int64_t b) {
  if (b == 0) return std::nullopt;
  if (b == -1) return static_cast<int64_t>(0 - static_cast<uint64_t>(a));
  return a / b;
}

std::optional<int64_t> IntegerRule(const std::string& type, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a);
  const auto ub = static_cast<uint64_t>(b);
  if (type == "Add" || type == "Sum") return static_cast<int64_t>(ua + ub);
  if (type == "Sub") return static_cast<int64_t>(ua - ub);
  if (type == "Mul") return static_cast<int64_t>(ua * ub);
  if (type == "Div") return Quotient(a, b);
  if (type == "Pow") return IntegerPower(a, b);
  if (type == "Min") return std::min(a, b);
  if (type == "Max") return std::max(a, b);
  if (type == "Equal") return a == b;
  if (type == "Less") return a < b;
  if (type == "LessOrEqual") return a <= b;
  if (type == "Greater") return a > b;
  if (type == "GreaterOrEqual") return a >= b;
  if (type == "And") return a != 0 && b != 0;
  if (type == "Or") return a != 0 || b != 0;
  if (type == "Xor") return (a != 0) != (b != 0);
  return std::nullopt;
}

/// Python's sign (of the divisor), or C's (of the dividend) with fmod.
std::optional<int64_t> IntegerRemainder(int64_t a, int64_t b, bool c_sign) {
  if (b == 0) return std::nullopt;
  if (b == -1) return 0;
  const int64_t remainder = a % b;
  const bool other_sign = remainder != 0 && (remainder < 0) != (b < 0);
  return other_sign && !c_sign ? remainder + b : remainder;
}

FoldResult FoldPair(const OnnxNode& node, FoldBudget& budget, const ConstantPtr& a,
                    const ConstantPtr& b, DType result_type) {
  const std::string& type = node.proto().op_type();
  TRY_ASSIGN(const Shape shape, Broadcast(node, a->shape, b->shape));
  TRY(budget.Spend(shape, DType::kFloat64));
  TRY_ASSIGN(const int64_t fmod, node.Int("fmod", 0));
  if (IsFloating(a->dtype) || IsFloating(b->dtype)) {
    std::vector<double> left = Spread(LoadDoubles(*a), a->shape, shape);
    const std::vector<double> right = Spread(LoadDoubles(*b), b->shape, shape);
    for (size_t i = 0; i < left.size(); ++i) {
      const double value =
          type == "Mod" ? std::fmod(left[i], right[i]) : DoubleRule(type, left[i], right[i]);
      left[i] = value;
    }
    return StoreDoubles(result_type, shape, left);
  }
  std::vector<int64_t> left = Spread(LoadIntegers(*a), a->shape, shape);
  const std::vector<int64_t> right = Spread(LoadIntegers(*b), b->shape, shape);
  for (size_t i = 0; i < left.size(); ++i) {
    const std::optional<int64_t> value = type == "Mod"
                                             ? IntegerRemainder(left[i], right[i], fmod != 0)
                                             : IntegerRule(type, left[i], right[i]);
    if (!value) return node.Malformed(fmt::format("{} and {} have no result", left[i], right[i]));
    left[i] = *value;
  }
  return StoreIntegers(result_type, shape, left);
}

double UnaryRule(const std::string& type, double x) {
  if (type == "Neg") return -x;
  if (type == "Abs") return std::abs(x);
  if (type == "Sqrt") return std::sqrt(x);
  if (type == "Exp") return std::exp(x);
  if (type == "Log") return std::log(x);
  if (type == "Floor") return std::floor(x);
  if (type == "Ceil") return std::ceil(x);
  if (type == "Round") return std::nearbyint(x);
  if (type == "Reciprocal") return 1 / x;
  if (type == "Relu") return x > 0 ? x : 0;
  if (type == "Sigmoid") return 1 / (1 + std::exp(-x));
  if (type == "Tanh") return std::tanh(x);
  if (type == "Erf") return std::erf(x);
  if (type == "Sign") return x > 0 ? 1 : (x < 0 ? -1 : x);
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

FoldResult FoldArithmetic(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(ConstantPtr result, node.Constant(0));
  for (size_t i = 1; i < node.input_count(); ++i) {
    TRY_ASSIGN(const ConstantPtr next, node.Constant(i));
    TRY_ASSIGN(result, FoldPair(node, budget, result, next, result->dtype));
  }
  return result;
}

FoldResult FoldComparison(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr a, node.Constant(0));
  TRY_ASSIGN(const ConstantPtr b, node.Constant(1));
  return FoldPair(node, budget, a, b, DType::kBool);
}

FoldResult FoldUnary(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  const std::string& type = node.proto().op_type();
  TRY(budget.Spend(x->shape, DType::kFloat64));
  if (IsFloating(x->dtype)) {
    std::vector<double> values = LoadDoubles(*x);
    for (double& value : values) value = UnaryRule(type, value);
    return StoreDoubles(x->dtype, x->shape, values);
  }
  std::vector<int64_t> values = LoadIntegers(*x);
  for (int64_t& value : values) {
    const auto negated = static_cast<int64_t>(0 - static_cast<uint64_t>(value));
    if (type == "Not") {
      value = value == 0 ? 1 : 0;
    } else if (type == "Neg" || (type == "Abs" && value < 0)) {
      value = negated;
    } else if (type == "Sign") {
      value = value > 0 ? 1 : (value < 0 ? -1 : 0);
    } else if (type == "Relu") {
      value = std::max<int64_t>(value, 0);
    } else if (type != "Abs") {
      return node.Unsupported("has no integer form");
    }
  }
  return StoreIntegers(x->dtype, x->shape, values);
}

FoldResult FoldWhere(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr condition, node.Constant(0));
  TRY_ASSIGN(const ConstantPtr a, node.Constant(1));
  TRY_ASSIGN(const ConstantPtr b, node.Constant(2));
  TRY_ASSIGN(Shape shape, Broadcast(node, a->shape, b->shape));
  TRY_ASSIGN(shape, Broadcast(node, condition->shape, shape));
  TRY(budget.Spend(shape, DType::kFloat64));
  const std::vector<int64_t> choice = Spread(LoadIntegers(*condition), condition->shape, shape);
  if (IsFloating(a->dtype)) {
    std::vector<double> left = Spread(LoadDoubles(*a), a->shape, shape);
    const std::vector<double> right = Spread(LoadDoubles(*b), b->shape, shape);
    for (size_t i = 0; i < left.size(); ++i) left[i] = choice[i] != 0 ? left[i] : right[i];
    return StoreDoubles(a->dtype, shape, left);
  }
  std::vector<int64_t> left = Spread(LoadIntegers(*a), a->shape, shape);
  const std::vector<int64_t> right = Spread(LoadIntegers(*b), b->shape, shape);
  for (size_t i = 0; i < left.size(); ++i) left[i] = choice[i] != 0 ? left[i] : right[i];
  return StoreIntegers(a->dtype, shape, left);
}

FoldResult FoldCast(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY_ASSIGN(const int64_t to, node.Int("to", 0));
  if (to < 0 || to > std::numeric_limits<int32_t>::max())
    return node.Malformed("its type is wrong");
  TRY_ASSIGN(const DType dtype, DTypeOfOnnx(static_cast<int32_t>(to), node.Where()));
  if (dtype == x->dtype) return x;
  TRY(budget.Spend(x->shape, dtype));
  if (dtype == DType::kFloat32) return AsFloat32(x);
  if (IsFloating(x->dtype)) return StoreDoubles(dtype, x->shape, LoadDoubles(*x));
  return StoreIntegers(dtype, x->shape, LoadIntegers(*x));
}

FoldResult FoldClip(const OnnxNode& node, FoldBudget& budget) {
  TRY_ASSIGN(const ConstantPtr x, node.Constant(0));
  TRY(budget.Spend(x->shape, DType::kFloat64));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  TRY_ASSIGN(const float min, node.Float("min", -std::numeric_limits<float>::infinity()));
  TRY_ASSIGN(const float max, node.Float("max", std::numeric_limits<float>::infinity()));
  double bounds[2] = {static_cast<double>(min), static_cast<double>(max)};
  for (size_t i = 0; i < 2; ++i) {
    if (!node.HasInput(i + 1)) continue;
    TRY_ASSIGN(const ConstantPtr bound, node.Constant(i + 1));
    const std::vector<double> value = LoadDoubles(*bound);
    if (value.size() != 1) return node.Malformed("its bounds must be scalars");
    bounds[i] = value[0];
  }
  if (!IsFloating(x->dtype) && bounds[0] == -kInfinity && bounds[1] == kInfinity) return x;
  std::vector<double> values = LoadDoubles(*x);
  for (double& value : values) value = std::min(std::max(value, bounds[0]), bounds[1]);
  return StoreDoubles(x->dtype, x->shape, values);
}

}  // namespace coracle::import

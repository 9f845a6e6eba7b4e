#include "import/onnx/array.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/checked.h"

namespace coracle::import {
namespace {

constexpr uint64_t kFoldBytesBase = uint64_t{64} << 20;
constexpr uint64_t kFoldBytesPerModelByte = 4;

template <typename T>
T ElementAt(const graph::Constant& constant, size_t index) {
  T value;
  std::memcpy(&value, constant.bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T, typename Out, typename Convert>
std::vector<Out> LoadAs(const graph::Constant& constant, Convert convert) {
  const size_t count = constant.bytes.size() / sizeof(T);
  std::vector<Out> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = convert(ElementAt<T>(constant, i));
  return out;
}

int64_t Truncate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (value < -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

/// Loads any dtype: floats through `from_double`, integers through `from_integer`.
template <typename Out, typename FromDouble, typename FromInteger>
std::vector<Out> Load(const graph::Constant& c, FromDouble from_double, FromInteger from_integer) {
  const auto integer = [&](auto value) { return from_integer(static_cast<int64_t>(value)); };
  const auto floating = [&](auto value) { return from_double(static_cast<double>(value)); };
  const auto half = [&](uint16_t value) { return from_double(double{HalfToFloat(value)}); };
  switch (c.dtype) {
    case DType::kFloat32:
      return LoadAs<float, Out>(c, floating);
    case DType::kFloat16:
      return LoadAs<uint16_t, Out>(c, half);
    case DType::kFloat64:
      return LoadAs<double, Out>(c, floating);
    case DType::kInt8:
      return LoadAs<int8_t, Out>(c, integer);
    case DType::kUint8:
      return LoadAs<uint8_t, Out>(c, integer);
    case DType::kBool:
      return LoadAs<uint8_t, Out>(c, [&](uint8_t v) { return from_integer(v != 0 ? 1 : 0); });
    case DType::kInt16:
      return LoadAs<int16_t, Out>(c, integer);
    case DType::kUint16:
      return LoadAs<uint16_t, Out>(c, integer);
    case DType::kInt32:
      return LoadAs<int32_t, Out>(c, integer);
    case DType::kUint32:
      return LoadAs<uint32_t, Out>(c, integer);
    case DType::kInt64:
    case DType::kUint64:
      return LoadAs<int64_t, Out>(c, integer);
  }
  CORACLE_CHECK(false);
}

template <typename T, typename In, typename Convert>
ConstantPtr StoreAs(DType dtype, const Shape& shape, std::span<const In> elements,
                    Convert convert) {
  std::vector<std::byte> bytes(elements.size() * sizeof(T));
  for (size_t i = 0; i < elements.size(); ++i) {
    const T value = convert(elements[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return StoreBytes(dtype, shape, std::move(bytes));
}

}  // namespace

bool IsFloating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kFloat64;
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000U} << 16;
  const uint32_t exponent = (half >> 10) & 0x1FU;
  const uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent == 0) {
    // Zero or subnormal: mantissa x 2^-24.
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 65520.0F) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < 6.103515625e-05F) {
    // Subnormal: a multiple of 2^-24, rounded to even by nearbyint's default mode.
    const float steps = std::nearbyint(std::ldexp(magnitude, 24));
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(steps));
  }
  const uint32_t rounded = (bits & 0x7FFFFFFFU) + 0xFFFU + ((bits >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112U << 10)));
}

std::vector<double> LoadDoubles(const graph::Constant& constant) {
  return Load<double>(
      constant, [](double v) { return v; }, [](int64_t v) { return static_cast<double>(v); });
}

std::vector<int64_t> LoadIntegers(const graph::Constant& constant) {
  return Load<int64_t>(constant, Truncate, [](int64_t v) { return v; });
}

ConstantPtr AsFloat32(const ConstantPtr& constant) {
  if (constant->dtype == DType::kFloat32) return constant;
  std::vector<float> values = Load<float>(
      *constant, [](double v) { return static_cast<float>(v); },
      [](int64_t v) { return static_cast<float>(v); });
  return MakeFloatConstant(constant->name, constant->shape, std::move(values));
}

FoldBudget::FoldBudget(uint64_t model_bytes)
    : left_bytes_(kFoldBytesBase + kFoldBytesPerModelByte * model_bytes) {}

Status FoldBudget::Spend(const Shape& shape, DType dtype) {
  const std::optional<uint64_t> elements = shape.CheckedElements();
  const std::optional<uint64_t> bytes =
      elements ? CheckedMul(*elements, DTypeBytes(dtype)) : std::nullopt;
  if (!bytes || *bytes > left_bytes_) {
    return Error{Code::kUnsupported,
                 fmt::format("a constant of {} would take more memory than the model warrants",
                             shape.ToString())};
  }
  left_bytes_ -= *bytes;
  return {};
}

ConstantPtr StoreDoubles(DType dtype, const Shape& shape, std::span<const double> elements) {
  switch (dtype) {
    case DType::kFloat32:
      return StoreAs<float>(dtype, shape, elements, [](double v) { return static_cast<float>(v); });
    case DType::kFloat16:
      return StoreAs<uint16_t>(dtype, shape, elements,
                               [](double v) { return FloatToHalf(static_cast<float>(v)); });
    case DType::kFloat64:
      return StoreAs<double>(dtype, shape, elements, [](double v) { return v; });
    default: {
      std::vector<int64_t> integers(elements.size());
      for (size_t i = 0; i < elements.size(); ++i) {
        const bool truth = dtype == DType::kBool;
        integers[i] = truth ? (elements[i] != 0 ? 1 : 0) : Truncate(elements[i]);
      }
      return StoreIntegers(dtype, shape, integers);
    }
  }
}

ConstantPtr StoreIntegers(DType dtype, const Shape& shape, std::span<const int64_t> elements) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUint8:
      return StoreAs<uint8_t>(dtype, shape, elements,
                              [](int64_t v) { return static_cast<uint8_t>(v & 0xFF); });
    case DType::kBool:
      return StoreAs<uint8_t>(dtype, shape, elements,
                              [](int64_t v) { return static_cast<uint8_t>(v != 0 ? 1 : 0); });
    case DType::kInt16:
    case DType::kUint16:
      return StoreAs<uint16_t>(dtype, shape, elements,
                               [](int64_t v) { return static_cast<uint16_t>(v & 0xFFFF); });
    case DType::kInt32:
    case DType::kUint32:
      return StoreAs<uint32_t>(dtype, shape, elements,
                               [](int64_t v) { return static_cast<uint32_t>(v & 0xFFFFFFFF); });
    case DType::kInt64:
    case DType::kUint64:
      return StoreAs<int64_t>(dtype, shape, elements, [](int64_t v) { return v; });
    default: {
      std::vector<double> doubles(elements.begin(), elements.end());
      return StoreDoubles(dtype, shape, doubles);
    }
  }
}

ConstantPtr StoreBytes(DType dtype, const Shape& shape, std::vector<std::byte> bytes) {
  CORACLE_CHECK(bytes.size() == shape.Elements() * DTypeBytes(dtype));
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  graph::Constant constant;
  constant.name = "folded";
  constant.dtype = dtype;
  constant.shape = shape;
  constant.bytes = Bytes(*owner);
  constant.owner = std::move(owner);
  return std::make_shared<const graph::Constant>(std::move(constant));
}

std::vector<uint64_t> StridesOf(const Shape& shape) {
  std::vector<uint64_t> strides(shape.rank(), 1);
  for (uint32_t axis = shape.rank(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return strides;
}

void ForEachElement(const Shape& out, int64_t start, std::span<const int64_t> strides,
                    const std::function<void(int64_t)>& visit) {
  const uint64_t count = out.Elements();
  std::vector<uint32_t> index(out.rank(), 0);
  int64_t from = start;
  for (uint64_t i = 0; i < count; ++i) {
    visit(from);
    for (uint32_t axis = out.rank(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < out[axis]) break;
      from -= strides[axis] * int64_t{out[axis]};
      index[axis] = 0;
    }
  }
}

}  // namespace coracle::import

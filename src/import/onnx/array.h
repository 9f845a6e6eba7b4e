// Arithmetic on constants while importing: loading any element type as integers or doubles, and
// storing results back as the type that ONNX gives them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "import/onnx/value.h"

namespace coracle::import {

/// float16, float32 or float64.
bool IsFloating(DType dtype);

// IEEE 754 binary16. Narrowing rounds to nearest, ties to even.
float HalfToFloat(uint16_t half);
uint16_t FloatToHalf(float value);

/// Every element as a double (an integer beyond 2^53 is rounded).
std::vector<double> LoadDoubles(const graph::Constant& constant);
/// Every element as an integer: a float is truncated, clamped to 64 bits, NaN becomes 0.
std::vector<int64_t> LoadIntegers(const graph::Constant& constant);
/// The same constant if it is float32 already; else a converted copy.
ConstantPtr AsFloat32(const ConstantPtr& constant);

/// Limits what constant folding may create, so that a small file cannot ask for much memory.
class FoldBudget {
 public:
  /// 64 MiB and four times the model's own bytes.
  explicit FoldBudget(uint64_t model_bytes);
  /// Room for one more constant. Errors: kUnsupported.
  Status Spend(const Shape& shape, DType dtype);

 private:
  uint64_t left_bytes_;
};

/// Stores `elements` as `dtype` (integers wrap, doubles round). Requires: count fits `shape`.
ConstantPtr StoreDoubles(DType dtype, const Shape& shape, std::span<const double> elements);
ConstantPtr StoreIntegers(DType dtype, const Shape& shape, std::span<const int64_t> elements);
/// A constant that owns raw bytes. Requires: size fits.
ConstantPtr StoreBytes(DType dtype, const Shape& shape, std::vector<std::byte> bytes);

/// Distance in elements between neighbours along each axis of a dense row-major array.
std::vector<uint64_t> StridesOf(const Shape& shape);

/// Calls `visit(from)` for every element of `out` in row-major order, where `from` is
/// start + sum of index[axis] * strides[axis] (strides may be negative or 0).
void ForEachElement(const Shape& out, int64_t start, std::span<const int64_t> strides,
                    const std::function<void(int64_t)>& visit);

}  // namespace coracle::import

// Element types. Activations are kFloat32 or, quantised, kUint8; the others are those of constants.
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle {

enum class DType : uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kFloat64 = 2,
  kInt8 = 3,
  kUint8 = 4,
  kInt32 = 5,
  kInt64 = 6,
  kBool = 7,
  kInt16 = 8,
  kUint16 = 9,
  kUint32 = 10,
  kUint64 = 11,
};

/// Bytes of one element.
uint32_t DTypeBytes(DType dtype);
/// "float32", "int64", ...
std::string_view DTypeName(DType dtype);

}  // namespace coracle

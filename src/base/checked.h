// Arithmetic that input drives: overflow is an answer, not undefined behaviour.
#pragma once

#include <cstdint>
#include <optional>

namespace coracle {

/// a * b, or nothing if it does not fit 64 bits.
constexpr std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

/// a + b, or nothing if it does not fit 64 bits.
constexpr std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

/// `value` rounded up to a multiple of `alignment` (a power of two). Requires: no overflow.
constexpr uint64_t RoundUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

/// `value` rounded up to a multiple of `unit`, any number > 0. Requires: no overflow.
constexpr uint64_t RoundUpToMultiple(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// ceil(a / b). Requires: b > 0.
constexpr uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

}  // namespace coracle

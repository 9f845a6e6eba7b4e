// Shape: the dimensions of a tensor, held inline (no allocation), outermost first.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/check.h"

namespace coracle {

inline constexpr uint32_t kMaxRank = 8;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<uint32_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  /// Requires: dims.size() <= kMaxRank.
  explicit Shape(std::span<const uint32_t> dims);

  uint32_t rank() const { return rank_; }
  uint32_t operator[](uint32_t axis) const {
    CORACLE_CHECK(axis < rank_);
    return dims_[axis];
  }
  /// The dimension `from_end` places before the last: Back(0) is the innermost. Requires: in range.
  uint32_t Back(uint32_t from_end) const { return (*this)[rank_ - 1 - from_end]; }
  void Set(uint32_t axis, uint32_t dim) {
    CORACLE_CHECK(axis < rank_);
    dims_[axis] = dim;
  }
  void Append(uint32_t dim) {
    CORACLE_CHECK(rank_ < kMaxRank);
    dims_[rank_++] = dim;
  }
  std::span<const uint32_t> dims() const { return {dims_.data(), rank_}; }

  /// Product of all dimensions (1 for a scalar). Requires: fits 64 bits (the verifier has checked).
  uint64_t Elements() const;
  /// Product, or nothing on overflow.
  std::optional<uint64_t> CheckedElements() const;
  /// "1x3x224x224"; "scalar" for rank 0.
  std::string ToString() const;

  bool operator==(const Shape& other) const;

 private:
  std::array<uint32_t, kMaxRank> dims_{};
  uint32_t rank_ = 0;
};

}  // namespace coracle

// Copies a box of elements between two places of any strides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/shape.h"

namespace coracle::kernels {

class StridedCopy {
 public:
  /// Of float32 (4) or uint8 (1) elements.
  explicit StridedCopy(uint32_t element_bytes) : element_bytes_(element_bytes) {}
  /// Appends an axis inside of those before it. Strides in elements.
  void AddAxis(uint32_t count, ptrdiff_t out_stride, ptrdiff_t in_stride);
  /// Copies from `in` to `out`, which do not overlap.
  void Run(const std::byte* in, std::byte* out) const;

 private:
  struct Axis {
    uint32_t count = 1;
    ptrdiff_t out = 0;  ///< bytes, as `in`
    ptrdiff_t in = 0;
  };

  void RunPlane(const std::byte* in, std::byte* out) const;

  const uint32_t element_bytes_;
  std::array<Axis, kMaxRank + 1> axes_{};
  uint32_t rank_ = 0;
};

}  // namespace coracle::kernels

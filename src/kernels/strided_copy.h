// Copies a box of elements between two places of any strides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/shape.h"

namespace coracle::kernels {

class StridedCopy {
 public:
  /// Appends an axis inside of those before it. Strides in floats.
  void AddAxis(uint32_t count, ptrdiff_t out_stride, ptrdiff_t in_stride);
  /// Copies from `in` to `out`, which do not overlap.
  void Run(const float* in, float* out) const;

 private:
  struct Axis {
    uint32_t count = 1;
    ptrdiff_t out = 0;
    ptrdiff_t in = 0;
  };

  void RunPlane(const float* in, float* out) const;

  std::array<Axis, kMaxRank + 1> axes_{};
  uint32_t rank_ = 0;
};

}  // namespace coracle::kernels

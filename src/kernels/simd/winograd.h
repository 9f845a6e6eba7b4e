// The SIMD Winograd kernel: Conv with 3x3 windows of stride 1 over one opened chunk, as tiles of
// 2x2 or 4x4 outputs (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// arXiv:1509.09308).
//
// Weights are transformed after opening, inputs tile by tile; the products are one small matrix
// product for each of the (m + 2)^2 elements, by the register tiles of the direct kernel; sums are
// transformed back and added to the output. Tiles are anchored at output (0, 0), and every value
// passes through the same operations whatever tiles are computed with it: the bits depend on
// neither rows, batch, workers nor target. They depend on the cut into chunks, which is the
// owner's.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// The kernel compiled for a Highway target (HWY_AVX3, HWY_AVX2, ...); for a target that has none,
/// the portable one.
PanelKernel SimdWinograd(int64_t hwy_target);

}  // namespace coracle::kernels

// The SIMD panel kernel: Conv (grouped too), ConvTranspose and Dense over one opened chunk.
//
// An implicit GEMM without any im2col buffer: output pixels, flattened over rows and images, are
// taken in tiles that fit the registers; a small table says where the tile's windows lie
// (panels_tiles.h), and each weight row is multiplied straight from the opened panel. Every output
// is one FMA chain in packed K order, so that its bits do not depend on tile, rows, batch or cut.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// The kernel compiled for a Highway target (HWY_AVX3, HWY_AVX2, ...); for a target that has none,
/// the portable one.
PanelKernel SimdPanels(int64_t hwy_target);

}  // namespace coracle::kernels

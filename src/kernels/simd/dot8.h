// The SIMD kernels of WeightType::kDot8: Conv (grouped too) and Dense on integers, over one opened
// chunk (dot8.h). Integer sums are exact: every target gives the reference's bits.
//
// Panels: as panels.h, over bytes. AVX-512 with VNNI multiplies four bytes of K in each int32 lane,
// 6 pixels x 64 columns at a time; AVX2 widens to int16 (vpmaddubsw would saturate). Depthwise:
// four neighbouring pixels, a vector of channels at a time, as int16.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// The target whose kernels stand in for `hwy_target`'s: AVX2's where the machine has AVX-512 but
/// not VNNI.
int64_t TargetWithDots(int64_t hwy_target);

/// The kernel compiled for a Highway target; for a target that has none, the reference.
PanelKernel SimdIntegerPanels(int64_t hwy_target);
PanelKernel SimdIntegerDepthwise(int64_t hwy_target);

}  // namespace coracle::kernels

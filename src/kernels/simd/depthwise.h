// The SIMD depthwise kernel: Conv with as many groups as channels, over one opened chunk.
//
// A few neighbouring output pixels are computed at a time, a vector of channels after the other, so
// that each weight and each input vector is loaded once for all of them. Taps outside of the image
// read a zero pixel. Every output is one FMA chain in tap order from the bias.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// The kernel compiled for a Highway target (HWY_AVX3, HWY_AVX2, ...); for a target that has none,
/// the portable one. Needs no workspace.
PanelKernel SimdDepthwise(int64_t hwy_target);

}  // namespace coracle::kernels

// Runs a panel or depthwise kernel the way that a hostile plan would: in row ranges of any size,
// through rings and slices, with NaN wherever no operand is. For tests.
#pragma once

#include <random>
#include <vector>

#include "kernels/kernel.h"
#include "kernels/simd/panels_case.h"

namespace coracle::kernels {

using Random = std::mt19937;

/// Uniform in [low, high].
uint32_t Pick(Random& random, uint32_t low, uint32_t high);
/// True once in `one_in` times.
bool Sometimes(Random& random, uint32_t one_in);

/// Bytes of rows [k_begin, k_begin + rows) of a panel's K.
uint32_t TextBytes(const LayerCase& layer, const PanelGeometry& panel, uint32_t k_begin,
                   uint32_t rows);

/// The Highway targets that this machine runs and for which `kernel_for` has a kernel of its own.
std::vector<int64_t> DistinctTargets(PanelKernel (*kernel_for)(int64_t));

/// Computes all rows of the layer from dense operands; the result is dense. Expects (GoogleTest)
/// that nothing else was written, and returns NaN where too much was read.
std::vector<float> ComputeInPieces(PanelKernel kernel, const LayerCase& layer,
                                   std::vector<float> input, std::vector<float> residual,
                                   Random& random);

}  // namespace coracle::kernels

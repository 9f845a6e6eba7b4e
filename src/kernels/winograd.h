// Winograd convolutions (graph::ConvAlgorithm) as packing, planner and kernels know them.
//
// A tile of m x m outputs comes from (m + 2)^2 products of transformed inputs and weights. Weights
// are sealed as they are (9 per pair of channels) and transformed after a chunk has been opened: 36
// transformed ones for F(4x4) would have to be opened otherwise. A chunk is one panel times a run
// of input channels; its contribution to the output is complete, so that no transformed sum
// outlives it.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::kernels {

/// Outputs along each side of a tile: 2 or 4; 1 for every other algorithm.
uint32_t WinogradOutputs(const graph::Node& node);
bool IsWinograd(const graph::Node& node);

inline constexpr uint32_t kWinogradTaps = 9;
/// K rows of the fewest input channels; a run has a multiple of it.
inline constexpr uint32_t kWinogradRunRows = kWinogradTaps * graph::kWinogradInputChannels;
/// Most tiles whose transforms exist at a time.
inline constexpr uint32_t kWinogradTilesMax = 18;

/// Most input channels of one chunk. Requires: IsWinograd(node).
uint32_t WinogradInputsMax(const graph::Graph& graph, const graph::Node& node);

/// Where the transforms of one chunk's share lie in the workspace, in floats. Each of the
/// (m + 2)^2 products has a matrix of weights [inputs, columns], of inputs [tiles, inputs] and of
/// sums [tiles, columns]. Matrices do not begin at multiples of 4 KiB from one another: stores to
/// all of them in turn would meet in the same lines of the first-level cache.
struct WinogradSpace {
  uint32_t products = 0;         ///< (m + 2)^2
  uint32_t weight_matrices = 0;  ///< that exist at a time: all, or two rows of m + 2
  uint64_t weight_stride = 0;    ///< from matrix to matrix
  uint64_t input_stride = 0;
  uint64_t sum_stride = 0;

  /// Two rows of transformed weights at a time are used up by one pass over the tiles if there are
  /// no more than kWinogradTilesMax; else all of them stay while the tiles pass by.
  WinogradSpace(uint32_t outputs, uint64_t tiles, uint32_t inputs, uint32_t columns);

  uint64_t Inputs() const { return weight_matrices * weight_stride; }
  uint64_t Sums() const { return Inputs() + products * input_stride; }
  uint64_t Floats() const { return Sums() + products * sum_stride; }
};

/// Input channels whose taps are dequantised together, where weights are quantised: their 9 taps x
/// 64 columns stay in the first-level cache.
inline constexpr uint32_t kWinogradDequantizedInputs = graph::kWinogradInputChannels;

/// Floats of the block of dequantised taps; 0 where weights are float32.
uint64_t WinogradDequantizedFloats(const graph::Node& node, uint32_t columns);

/// Workspace bytes of any row range; multiple of 64. Requires: IsWinograd(node).
uint64_t WinogradWorkspaceBytes(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::kernels

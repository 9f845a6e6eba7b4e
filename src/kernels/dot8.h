// The layout of WeightType::kDot8's chunks, and what its kernels need beside them. The arithmetic
// is graph/quantization.h's (IntegerSums).
//
// A kPanels chunk holds, for each of its panels: header rows of `width` values of 4 bytes
// (Dot8Row), then K in groups of four, [k / 4][column][4] int8; K is in the order of packing.h and
// zero-padded to a multiple of 4. Cuts of K are at multiples of 4, and every cut has its own
// header, so that each can be multiplied by itself.
//
// A kDepthwise chunk of n blocks holds header rows of 16 n values (no kWeightZero), then per tap
// (ky, kx) 16 n int16: w - weight_zero; zero-padded to kChunkAlignment.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "kernels/packing.h"

namespace coracle::kernels {

/// Bytes of K that one int32 lane sums at a time.
inline constexpr uint32_t kDot8Group = 4;

/// Header rows, in order.
enum class Dot8Row : uint32_t {
  /// int32: what the sum of x w starts from. integer_bias in the chunk with k_begin == 0 and 0 in
  /// others; less in_zero x weight_sum where in_zero is a constant.
  kStart = 0,
  kMultiplier = 1,  ///< float
  kBias = 2,        ///< float
  kWeightZero = 3,  ///< int32. Panels only
};
/// Where in_zero is found while predicting, the last row: int32, the sum of w - weight_zero over
/// the chunk's rows of K.
uint32_t Dot8HeaderRows(const graph::Graph& graph, const graph::Node& node);

/// Bytes of `k_count` rows of K of a panel, header included; multiple of 64.
uint64_t Dot8PanelBytes(const graph::Graph& graph, const graph::Node& node, uint32_t width,
                        uint32_t k_count);
/// Bytes of one block of 16 channels of a depthwise chunk; multiple of 32.
uint64_t Dot8BlockBytes(const graph::Graph& graph, const graph::Node& node);

/// Writes one kPanels or kDepthwise chunk (PackChunk). Requires: zeroed `text`.
void PackDot8Chunk(const graph::Graph& graph, const graph::Node& node,
                   const graph::ChunkDescriptor& chunk, std::byte* text);

/// Bytes of in_zero that taps outside of the image read at a time.
inline constexpr uint32_t kDot8OutsideBytes = 2048;
/// Most output pixels that one register tile of bytes computes.
inline constexpr uint32_t kDotPixelsMax = 12;

/// The parts of a worker's workspace, in bytes: windows that are copied, then the int32 sums of
/// every output pixel of an action times a panel's columns, where K is cut. Multiples of 64.
struct Dot8Workspace {
  uint64_t patch = 0;
  uint64_t partial = 0;
  /// Windows are copied before they are multiplied: their taps are not whole groups of four bytes,
  /// or too many.
  bool copies = false;
};
/// Requires: the node is kDot8, no depthwise one, with its chunks.
Dot8Workspace Dot8WorkspaceOf(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::kernels

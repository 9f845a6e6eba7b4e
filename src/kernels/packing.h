// The layout of weights inside of chunks ("sealed panels"): written by the owner when sealing, read
// by the kernels. Machine-independent.
//
// Parts. A Conv has one part per group. A ConvTranspose has one part per group and output phase
// (oy mod stride_h, ox mod stride_w), phases fastest; a phase is a stride-1 correlation with the
// taps that reach it. A Dense is one part. Output channels of a part are cut into panels of 64; a
// part's last panel is as wide as its channels rounded up to 16 (extra columns zero). Panels are
// numbered over all parts.
//
// K order of a part: its taps in (ky, kx) order, and per tap the part's input channels. Dense: its
// inputs. Winograd: runs of input channels, of 16 to WinogradInputsMax() (winograd.h); per run its
// 9 taps, and per tap the run's channels. A chunk holds one run of one panel.
//
// A kPanels chunk holds, for each of its panels: bias[width] if k_begin == 0, then k_count rows of
// `width` weights, as panel_text.h says for each type. A kDepthwise chunk of blocks [b, b + n) of
// 16 channels: bias[16 n], then per tap (ky, kx) weights[16 n]. WeightType::kDot8 has other chunks
// of these two kinds: dot8.h. A kConstant block: Affine and LayerNorm: scale[C16], bias[C16], where
// C16 = channels rounded up to 16; Binary, Attention: the constant's elements in order. Recurrence:
// recurrence.h. The block is cut into kConstant chunks that are opened one behind the other into
// contiguous memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::kernels {

inline constexpr uint32_t kPanelChannels = 64;
inline constexpr uint32_t kPanelGranule = 16;

/// Where one panel's channels and sums come from.
struct PanelGeometry {
  uint32_t part = 0;
  uint32_t group = 0;
  uint32_t phase_y = 0, phase_x = 0;  ///< ConvTranspose; else 0
  uint32_t channel_begin = 0;         ///< output channel of column 0
  uint32_t channel_count = 0;         ///< real columns (<= width)
  uint32_t width = 0;                 ///< columns stored: 16, 32, 48 or 64
  uint32_t k_count = 0;               ///< rows of K of the whole panel
};

/// The kernel positions of one axis that reach one output phase: first, first + step, ... (`count`
/// of them; a Conv and a Dense have all of them).
struct AxisTaps {
  uint32_t first = 0;
  uint32_t step = 1;
  uint32_t count = 1;
};

/// The taps of a part. K row (ty * x.count + tx) * inputs + c is tap (ty, tx) and input channel c.
struct PartTaps {
  AxisTaps y, x;
  uint32_t inputs = 0;  ///< input channels of the part (Dense: all its inputs)
  uint32_t Count() const { return y.count * x.count; }
};

/// What row k of K multiplies.
struct KRow {
  uint32_t tap = 0;    ///< ty * x.count + tx
  uint32_t input = 0;  ///< input channel of the part
};

/// Panels of the node. Requires: Conv, ConvTranspose or Dense at Stage::kRows.
uint32_t PanelCount(const graph::Graph& graph, const graph::Node& node);
PanelGeometry PanelAt(const graph::Graph& graph, const graph::Node& node, uint32_t panel);
/// The taps that every panel of the same part multiplies, in K order.
PartTaps TapsOf(const graph::Graph& graph, const graph::Node& node, const PanelGeometry& panel);

/// Row `k` of K of a part with `taps`. Requires: `k` lies in `chunk`, one of the node's.
KRow KRowOf(const graph::Node& node, const PartTaps& taps, const graph::ChunkDescriptor& chunk,
            uint32_t k);

/// Bytes of the node's kConstant block before rounding to kChunkAlignment; 0 if it has none.
uint64_t ConstantBlockBytes(const graph::Graph& graph, const graph::Node& node);

/// Cuts the node's weights into chunks of the size that suits them: 256 KiB for large layers, down
/// to 64 KiB for small ones (and a bias row), and no more than the layer has; but a panel of up to
/// 160 KiB stays whole. Chunk indices are numbered from `first_index`. Empty for a node without
/// constants.
graph::WeightLayout CutIntoChunks(const graph::Graph& graph, const graph::Node& node,
                                  graph::ChunkIndex first_index);

/// Errors: kMalformed unless `layout` is a complete, ordered and exact cover of the node's weights
/// (any cutting is accepted, not only CutIntoChunks's own); kUnsupported if K passes 32 bits.
/// kDepthwise chunks have k_begin = k_count = 0; kConstant chunks have no panels either.
Status CheckLayout(const graph::Graph& graph, const graph::Node& node,
                   const graph::WeightLayout& layout);

/// Writes one chunk's plain text. Owner side. Requires: node.source set; out of chunk.bytes bytes,
/// at a multiple of 4; kConstant: node.weights set, with `chunk` in it (its place there is its
/// place in the block).
void PackChunk(const graph::Graph& graph, const graph::Node& node,
               const graph::ChunkDescriptor& chunk, std::span<std::byte> out);

}  // namespace coracle::kernels

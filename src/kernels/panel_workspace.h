// What the SIMD panel kernel needs beside operands and chunk, as WorkspaceBytes() and
// InPlaceAllowed() (kernel.h) must know it.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::kernels {

/// Parts with fewer input channels than this have their windows at image edges copied into patches:
/// a segment per tap would be too short to multiply fast.
inline constexpr uint32_t kPatchInputsMax = 16;
/// Most floats of one patch that exist at a time.
inline constexpr uint32_t kPatchFloatsMax = 768;
/// Most output pixels that one register tile computes.
inline constexpr uint32_t kTilePixelsMax = 12;
/// Most floats that one tap outside of the image reads (as zeros) at a time.
inline constexpr uint32_t kZeroPixelFloats = 2048;
/// Floats of one row of woven weights: the widest vector.
inline constexpr uint32_t kWovenColumns = 16;
/// Windows of more segments than this are summed in several passes, the partial sums in the output.
inline constexpr uint32_t kTileSegmentsMax = 128;

/// Floats of the block that a quantised node's kernel dequantises at a time.
uint64_t DequantizedFloats(const graph::Graph& graph, const graph::Node& node);

/// True for a Conv of narrow groups, as many output channels as input channels each (2, 4 or 8):
/// several of its groups share a vector, their weights woven together in the workspace.
bool WeavesGroups(const graph::Graph& graph, const graph::Node& node);

/// Workspace bytes of a node with panels; multiple of 64. 0 for every other node.
uint64_t PanelWorkspaceBytes(const graph::Graph& graph, const graph::Node& node);

/// True if the kernel may pass partial sums of one chunk through the output, so that the
/// output must not lie over the residual even where no chunk splits K.
bool PanelsSplitWindows(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::kernels

// The kernel interface: what the runtime calls, and what reference/ and simd/ each implement in
// full.
//
// A node is computed by output rows (any range, in any order, by any number of workers; but see
// CarriesRows()) and, where it has panels, by weight chunks. The bits of the result depend on
// neither: each sum is one FMA chain in packed K order, starting from the bias (packing.h); each
// reduction has a fixed order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "graph/graph.h"
#include "kernels/rows.h"

namespace coracle::kernels {

/// One batch element of a node: its operands and result.
struct Image {
  std::span<const Rows> inputs;  ///< one per node input (the residual last)
  Rows output;
};

/// Bytes that the kernel asks for ahead of time while it works (the next chunk's ciphertext): it
/// touches [next, end) with prefetch instructions at an even pace. May be empty. Never
/// dereferenced.
struct Prefetch {
  const std::byte* next = nullptr;
  const std::byte* end = nullptr;
};

/// Arguments of a node without panels.
struct RowArgs {
  const graph::Graph* graph = nullptr;
  const graph::Node* node = nullptr;
  std::span<const Image> images;
  /// The node's constant block (packing.h), or null.
  const float* constants = nullptr;
  /// At least WorkspaceBytes(), 64-byte aligned, this worker's own.
  std::span<std::byte> workspace;
};

/// Arguments for one opened chunk of a node with panels (Conv, ConvTranspose, Dense).
struct PanelArgs {
  const graph::Graph* graph = nullptr;
  const graph::Node* node = nullptr;
  std::span<const Image> images;
  const graph::ChunkDescriptor* chunk = nullptr;
  const std::byte* weights = nullptr;  ///< the chunk's plain text, 64-byte aligned
  std::span<std::byte> workspace;
  Prefetch* prefetch = nullptr;  ///< may be null; advanced by what was asked for
};

using RowKernel = void (*)(const RowArgs&, RowRange);
/// Computes the chunk's output channels of the rows. With k_begin > 0 it continues from the partial
/// sums in the output; the activation and residual are applied by the chunk that completes K.
using PanelKernel = void (*)(const PanelArgs&, RowRange);

struct KernelSet {
  std::string_view name;                 ///< "reference", "AVX3", "AVX2", ...
  PanelKernel panels = nullptr;          ///< Conv (grouped too), ConvTranspose, Dense: direct sums
  PanelKernel winograd = nullptr;        ///< Conv with another algorithm
  PanelKernel depthwise = nullptr;       ///< Conv with IsDepthwise()
  PanelKernel integer_panels = nullptr;  ///< Conv (grouped too), Dense: WeightType::kDot8
  PanelKernel integer_depthwise = nullptr;  ///< Conv with IsDepthwise(), WeightType::kDot8
  /// By OpKind; null for the kinds that have panels. Each honours row, pixel strides and rings of
  /// its operands, and may write its output over inputs[0] where InPlaceAllowed().
  std::array<RowKernel, graph::kOpKindCount> rows{};
};

/// Clear and slow: the truth that every other set is compared with.
const KernelSet& ReferenceKernels();
/// The best set for this machine; never fails (falls back to the portable target).
const KernelSet& SimdKernels();
/// The kernel of the set that computes a node with panels or depthwise blocks; null for every
/// other.
PanelKernel PanelKernelOf(const KernelSet& set, const graph::Graph& graph, const graph::Node& node);
/// Every SIMD set that this machine can run, best first (tests compare them all). Panels and
/// depthwise give the reference's bits on every target; MatMul, Affine and Resize only where the
/// target has a fused multiply-add (not the portable one).
std::span<const KernelSet* const> AllSimdKernels();

/// How `Image` and `RowRange` see a node's tensors. True: one Image per image of the tensors' outer
/// axis N (the caller splits; a convoy of B such tensors gives B x N), Rows::rows and RowRange
/// count one image's rows: the windowed, per-channel and same-shape operators. False: an Image is
/// the whole tensor, its rows those of all images (RowShape::AllRows()): the operators that may mix
/// axes (MatMul, Concat, Slice, Transpose, Reshape, Pad, Reduce over the last axis, broadcasting
/// Binary). The two are the same where N is 1.
bool PerImage(const graph::Graph& graph, const graph::Node& node);

/// Secure bytes that one worker needs beside operands, constants and chunk slot, for either set.
/// Multiple of 64.
uint64_t WorkspaceBytes(const graph::Graph& graph, const graph::Node& node);

/// True if the node's kernel may have its output exactly over inputs[operand] (same type, shape and
/// strides).
bool InPlaceAllowed(const graph::Graph& graph, const graph::Node& node, uint32_t operand);

/// True if an output row is made from the one before it (Recurrence): rows are computed ascending,
/// by one worker, while the row before them is still in its place. A ring of one row is enough: a
/// row may overwrite the one before.
bool CarriesRows(const graph::Node& node);

/// Output rows that the kernel computes together: any range is right, but a range that begins or
/// ends between two multiples of this (but for the last row) computes some rows for nothing. 1 for
/// all but Winograd's convolutions.
uint32_t RowGranule(const graph::Node& node);

/// Input rows [begin, end), clipped to the image, of inputs[operand] that output rows `rows` read
/// (both counted as PerImage() says). Empty ({0, 0}) if they read none. Rows of a granule are read
/// together.
RowRange InputRows(const graph::Graph& graph, const graph::Node& node, uint32_t operand,
                   RowRange rows);

/// Multiply-adds of the whole node (the cost model's measure of arithmetic).
uint64_t MultiplyAdds(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::kernels

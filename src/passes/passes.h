// The rewrites, one per file. Each keeps the graph's meaning (exactly, or to float rounding where
// it says so), takes either stage unless it says otherwise, and returns how many rewrites it made.
// pipeline.h says in which order they run.
#pragma once

#include <cstddef>

#include "graph/graph.h"

namespace coracle::passes {

/// Removes nodes that do nothing (a Reshape to the same shape, Mul by 1, a Pad of nothing, ...) and
/// joins chains of Reshape, Transpose, Slice and Concat. Also drops dead nodes and tensors.
size_t Simplify(graph::Graph& graph);

/// Computes equal nodes once (common subexpressions).
size_t ShareCommon(graph::Graph& graph);

/// Concat(a, b, c) where Concat(a, b) exists: Concat(Concat(a, b), c), as DenseNets need to
/// concatenate without copying again what is already together.
size_t ShareConcatPrefix(graph::Graph& graph);

/// Mean, subtract, square, mean, add epsilon, square root, divide [, scale] [, shift]: LayerNorm.
size_t FuseLayerNorm(graph::Graph& graph);

/// Clip(a x + b, 0, h) / h: HardSigmoid.
size_t FuseHardSigmoid(graph::Graph& graph);

/// x gate(x) in its spellings: HardSwish, Swish, Mish, Gelu.
size_t FuseGated(graph::Graph& graph);

/// max(x, 0) + a min(x, 0), as PRelu is imported: max(x, a x), where no a is above 1.
size_t FusePRelu(graph::Graph& graph);

/// x + x g, with one g a channel: x (1 + g). kLogical only; differs by one rounding.
size_t FuseGatedResidual(graph::Graph& graph);

/// Scales and shifts into the Conv, ConvTranspose, Dense, LayerNorm or Affine before them.
size_t FoldLinearBack(graph::Graph& graph);

/// One scale for all channels, with any shift, into the Conv (without padding) or Dense after it.
size_t FoldLinearForward(graph::Graph& graph);

/// A zero Pad into the Conv or Pool after it, where that is exact.
size_t FoldPad(graph::Graph& graph);

/// A factor on a MatMul's operands or result into MatMul::scale.
size_t FoldMatMulScale(graph::Graph& graph);

/// softmax(scale q k' [+ mask]) v: Attention, which never has all scores. kLogical only.
size_t FuseAttention(graph::Graph& graph);

/// The mean or maximum of a large map: each row's first, so that rows can flow past; then theirs.
/// kRows only; differs by rounding.
size_t SplitGlobalPooling(graph::Graph& graph);

/// Conv and Dense of a dequantised input and a dequantised constant weight [, activation]
/// [, Quantize]: sums of integers (WeightType::kDot8).
size_t FuseIntegerSums(graph::Graph& graph);

/// What a model multiplies integer sums by and adds to them, into the node that makes them.
size_t ScaleIntegerSums(graph::Graph& graph);

/// Dequantize and Dequantize, Add [, activation], Quantize: QuantizedAdd.
size_t FuseQuantizedAdd(graph::Graph& graph);

/// Operators that pass elements through between a Dequantize and a Quantize with the same
/// parameters: on integers. A Quantize directly after such a Dequantize vanishes.
size_t KeepQuantized(graph::Graph& graph);

/// A Unary into the node before it.
size_t FuseActivation(graph::Graph& graph);

/// An Add of equal shapes into the Conv, ConvTranspose or Dense that computes one side.
size_t FuseResidual(graph::Graph& graph);

}  // namespace coracle::passes

// The manifest's grammar: each field of each record, listed once for encoder and decoder alike.
//
// An Archive has one method a primitive; the encoder's take values, the decoder's take references
// to fill in. docs/formats/sealed-model.md, Manifest, is this file in words.
#pragma once

#include <type_traits>

#include "base/result.h"
#include "graph/graph.h"
#include "graph/verify.h"
#include "seal/format.h"
#include "seal/model.h"

namespace coracle::seal {

/// T& for an archive that fills in, const T& for one that writes out.
template <typename Archive, typename T>
using Field = std::conditional_t<Archive::kDecodes, T&, const T&>;

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Window> window) {
  TRY(archive.U32(window.kernel_h));
  TRY(archive.U32(window.kernel_w));
  TRY(archive.U32(window.stride_h));
  TRY(archive.U32(window.stride_w));
  TRY(archive.U32(window.dilation_h));
  TRY(archive.U32(window.dilation_w));
  TRY(archive.U32(window.pad_top));
  TRY(archive.U32(window.pad_left));
  TRY(archive.U32(window.pad_bottom));
  return archive.U32(window.pad_right);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Conv> conv) {
  TRY(Fields(archive, conv.window));
  TRY(archive.U32(conv.groups));
  TRY(archive.U32(conv.out_channels));
  return archive.Enum(conv.algorithm, graph::kConvAlgorithmCount);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::ConvTranspose> conv) {
  TRY(Fields(archive, conv.window));
  TRY(archive.U32(conv.groups));
  TRY(archive.U32(conv.out_channels));
  TRY(archive.U32(conv.output_pad_h));
  return archive.U32(conv.output_pad_w);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Dense> dense) {
  return archive.U32(dense.out_features);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::MatMul> product) {
  TRY(archive.Enum(product.transpose_b, 2));
  return archive.F32(product.scale);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Pool> pool) {
  TRY(archive.Enum(pool.kind, 2));
  TRY(archive.Enum(pool.counting, 2));
  return Fields(archive, pool.window);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Reduce> reduce) {
  TRY(archive.Enum(reduce.kind, 4));
  return archive.NumberList(reduce.axes, kMaxRank);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::LayerNorm> norm) {
  return archive.F32(norm.epsilon);
}

template <typename Archive>
Status Fields(Archive&, Field<Archive, graph::Affine>) {
  return {};
}

template <typename Archive>
Status Fields(Archive&, Field<Archive, graph::Unary>) {
  return {};
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Binary> binary) {
  TRY(archive.Enum(binary.kind, 7));
  TRY(archive.Enum(binary.operands, 3));
  return archive.Dimensions(binary.constant_shape);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Softmax> softmax) {
  return archive.U32(softmax.axis);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Resize> resize) {
  TRY(archive.Enum(resize.mode, 2));
  TRY(archive.Enum(resize.coordinates, 4));
  TRY(archive.Enum(resize.rounding, 4));
  TRY(archive.F32(resize.scale_h));
  return archive.F32(resize.scale_w);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Concat> concat) {
  return archive.U32(concat.axis);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Slice> slice) {
  TRY(archive.NumberList(slice.starts, kMaxRank));
  return archive.NumberList(slice.steps, kMaxRank);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Transpose> transpose) {
  return archive.NumberList(transpose.perm, kMaxRank);
}

template <typename Archive>
Status Fields(Archive&, Field<Archive, graph::Reshape>) {
  return {};
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Pad> pad) {
  TRY(archive.Enum(pad.mode, 3));
  TRY(archive.F32(pad.value));
  TRY(archive.NumberList(pad.before, kMaxRank));
  return archive.NumberList(pad.after, kMaxRank);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Reorg> reorg) {
  return archive.U32(reorg.stride);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::DetectionHead> head) {
  TRY(archive.Enum(head.kind, 2));
  TRY(archive.U32(head.boxes));
  TRY(archive.U32(head.classes));
  return archive.U32(head.softmax);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Recurrence> recurrence) {
  TRY(archive.Enum(recurrence.cell, 4));
  TRY(archive.U32(recurrence.hidden));
  TRY(archive.Enum(recurrence.order, 2));
  TRY(archive.Enum(recurrence.initial, 3));
  return archive.F32(recurrence.clip);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Attention> attention) {
  TRY(archive.F32(attention.scale));
  TRY(archive.Enum(attention.mask, 3));
  return archive.Dimensions(attention.mask_shape);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Quantization> quantization) {
  TRY(archive.F32(quantization.scale));
  return archive.U8(quantization.zero);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Quantize> quantize) {
  TRY(Fields(archive, quantize.out));
  return archive.Enum(quantize.source, 2);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Dequantize> dequantize) {
  TRY(Fields(archive, dequantize.in));
  return archive.Enum(dequantize.source, 2);
}

template <typename Archive>
Status Fields(Archive&, Field<Archive, graph::QuantizationRange>) {
  return {};
}

template <typename Archive>
Status Fields(Archive&, Field<Archive, graph::RowExtremes>) {
  return {};
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::QuantizedAdd> add) {
  TRY(Fields(archive, add.a));
  TRY(Fields(archive, add.b));
  return Fields(archive, add.out);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::IntegerSums> integer) {
  TRY(archive.Enum(integer.in_source, 2));
  TRY(archive.U8(integer.in_zero));
  return Fields(archive, integer.out);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::ChunkDescriptor> chunk) {
  TRY(archive.Index(chunk.index));
  TRY(archive.Enum(chunk.kind, 3));
  TRY(archive.U32(chunk.bytes));
  TRY(archive.U32(chunk.coded_bytes));
  TRY(archive.U32(chunk.panel_begin));
  TRY(archive.U32(chunk.panel_count));
  TRY(archive.U32(chunk.k_begin));
  return archive.U32(chunk.k_count);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Tensor> tensor) {
  TRY(archive.Text(tensor.name, graph::kMaxNameBytes));
  TRY(archive.Enum(tensor.dtype, 12));
  return archive.Dimensions(tensor.shape);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Node> node) {
  TRY(archive.Text(node.name, graph::kMaxNameBytes));
  TRY(archive.Operator(node.attrs));
  TRY(archive.IndexList(node.inputs, graph::kMaxInputsPerNode));
  TRY(archive.Index(node.output));
  TRY(archive.Enum(node.activation.kind, graph::kActivationKindCount));
  TRY(archive.F32(node.activation.a));
  TRY(archive.F32(node.activation.b));
  TRY(archive.Enum(node.residual, 3));
  TRY(archive.Enum(node.weight_type, graph::kWeightTypeCount));
  TRY(Fields(archive, node.integer));
  return archive.RecordList(node.weights.chunks, kMaxChunksPerNode, 29);
}

template <typename Archive>
Status Fields(Archive& archive, Field<Archive, graph::Port> port) {
  TRY(archive.Text(port.name, graph::kMaxNameBytes));
  TRY(archive.Index(port.tensor));
  TRY(archive.Dimensions(port.shape));
  return archive.NumberList(port.perm, kMaxRank);
}

/// The offset is not stored: it follows from the lengths before it.
template <typename Archive>
Status Fields(Archive& archive, Field<Archive, ChunkRecord> record) {
  TRY(archive.U32(record.bytes));
  return archive.Raw(record.tag);
}

/// A list's last argument is the least number of bytes that one element takes.
template <typename Archive>
Status Fields(Archive& archive, Field<Archive, Manifest> manifest) {
  TRY(archive.Text(manifest.name, kMaxFreeTextBytes));
  TRY(archive.Text(manifest.version, kMaxFreeTextBytes));
  TRY(archive.Text(manifest.preprocess, kMaxJsonBytes));
  TRY(archive.Text(manifest.decode, kMaxJsonBytes));
  TRY(archive.Enum(manifest.graph.stage, 2));
  TRY(archive.RecordList(manifest.graph.tensors, graph::kMaxTensors, 6));
  TRY(archive.RecordList(manifest.graph.nodes, graph::kMaxNodes, 35));
  TRY(archive.RecordList(manifest.graph.inputs, kMaxPorts, 13));
  TRY(archive.RecordList(manifest.graph.outputs, kMaxPorts, 13));
  TRY(archive.TextList(manifest.labels, kMaxLabels, kMaxLabelBytes));
  return archive.RecordList(manifest.chunks, kMaxChunks, 20);
}

}  // namespace coracle::seal

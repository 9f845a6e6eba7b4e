// Emission: ONNX operators that the network computes, as nodes of Coracle's graph. Each function is
// one operator, or a family; onnx/operators.cc is the table. Inputs that must be constants
// (weights, axes, sizes) are taken as such; what cannot be expressed is refused with the reason.
#pragma once

#include <vector>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/onnx/onnx_node.h"

namespace coracle::import {

using EmitResult = Result<graph::TensorIndex>;

// emit_conv.cc
EmitResult EmitConv(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitConvTranspose(const OnnxNode& node, GraphBuilder& builder);

// emit_pool.cc
EmitResult EmitPool(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitGlobalPool(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitReduce(const OnnxNode& node, GraphBuilder& builder);

// emit_dense.cc
EmitResult EmitMatMul(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitGemm(const OnnxNode& node, GraphBuilder& builder);

// emit_normalization.cc
EmitResult EmitBatchNormalization(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitInstanceNormalization(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitLayerNormalization(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitSoftmax(const OnnxNode& node, GraphBuilder& builder);  ///< LogSoftmax too

// emit_recurrent.cc
/// LSTM, GRU, RNN: Y, Y_h and, of an LSTM, Y_c.
Result<std::vector<graph::TensorIndex>> EmitRecurrent(const OnnxNode& node, GraphBuilder& builder);

// emit_elementwise.cc
EmitResult EmitUnary(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitClip(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitPRelu(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitBinary(const OnnxNode& node, GraphBuilder& builder);    ///< Add, Sub, Mul, Div, Pow
EmitResult EmitVariadic(const OnnxNode& node, GraphBuilder& builder);  ///< Min, Max, Sum, Mean
EmitResult EmitCast(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitIdentity(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitDropout(const OnnxNode& node, GraphBuilder& builder);

// emit_layout.cc
EmitResult EmitReshape(const OnnxNode& node, GraphBuilder& builder);  ///< Flatten, (Un)Squeeze too
EmitResult EmitTranspose(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitConcat(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitSlice(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitGather(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitExpand(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitTile(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitPad(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitDepthToSpace(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitSpaceToDepth(const OnnxNode& node, GraphBuilder& builder);
Result<std::vector<graph::TensorIndex>> EmitSplit(const OnnxNode& node, GraphBuilder& builder);

// emit_quantize.cc
EmitResult EmitQuantizeLinear(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitDequantizeLinear(const OnnxNode& node, GraphBuilder& builder);
/// The quantised tensor, its scale and its zero point (both scalars).
Result<std::vector<graph::TensorIndex>> EmitDynamicQuantizeLinear(const OnnxNode& node,
                                                                  GraphBuilder& builder);

// emit_integer.cc
EmitResult EmitQLinearConv(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitQLinearMatMul(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitConvInteger(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitMatMulInteger(const OnnxNode& node, GraphBuilder& builder);
EmitResult EmitQuantizedBinary(const OnnxNode& node, GraphBuilder& builder);  ///< QLinearAdd, Mul
EmitResult EmitQuantizedGlobalAveragePool(const OnnxNode& node, GraphBuilder& builder);

// emit_resize.cc
EmitResult EmitResize(const OnnxNode& node, GraphBuilder& builder);  ///< Upsample too

}  // namespace coracle::import

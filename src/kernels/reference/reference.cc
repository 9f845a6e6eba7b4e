#include "kernels/reference/reference.h"

#include "base/index.h"

namespace coracle::kernels {
namespace {

KernelSet MakeReferenceKernels() {
  using graph::OpKind;
  KernelSet set{.name = "reference",
                .panels = reference::Panels,
                .winograd = reference::Panels,
                .depthwise = reference::Depthwise,
                .integer_panels = reference::IntegerPanels,
                .integer_depthwise = reference::IntegerDepthwise};
  const auto add = [&set](OpKind kind, RowKernel kernel) { set.rows[Position(kind)] = kernel; };
  add(OpKind::kMatMul, reference::MatMul);
  add(OpKind::kPool, reference::Pool);
  add(OpKind::kReduce, reference::Reduce);
  add(OpKind::kLayerNorm, reference::LayerNorm);
  add(OpKind::kAffine, reference::Affine);
  add(OpKind::kUnary, reference::Unary);
  add(OpKind::kBinary, reference::Binary);
  add(OpKind::kSoftmax, reference::Softmax);
  add(OpKind::kResize, reference::Resize);
  for (OpKind kind : {OpKind::kConcat, OpKind::kSlice, OpKind::kTranspose, OpKind::kReshape,
                      OpKind::kPad, OpKind::kReorg}) {
    add(kind, reference::Move);
  }
  add(OpKind::kDetectionHead, reference::DetectionHead);
  add(OpKind::kRecurrence, reference::Recurrence);
  add(OpKind::kAttention, reference::Attention);
  add(OpKind::kQuantize, reference::Quantize);
  add(OpKind::kDequantize, reference::Dequantize);
  add(OpKind::kQuantizationRange, reference::QuantizationRange);
  add(OpKind::kQuantizedAdd, reference::QuantizedAdd);
  add(OpKind::kRowExtremes, reference::RowExtremes);
  return set;
}

}  // namespace

const KernelSet& ReferenceKernels() {
  static const KernelSet set = MakeReferenceKernels();
  return set;
}

}  // namespace coracle::kernels

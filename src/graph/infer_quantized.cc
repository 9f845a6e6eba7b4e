// Shape rules of the operators on quantised tensors.
#include <cmath>

#include "graph/infer_rules.h"

namespace coracle::graph {
namespace {

Status CheckQuantization(const ShapeCall& call, const Quantization& quantization) {
  if (!std::isfinite(quantization.scale) || quantization.scale <= 0) {
    return ShapeError(call, "its scale must be positive and finite");
  }
  return {};
}

/// One scale and zero point an image.
Shape RangeOf(const Shape& shape) { return Shape{RowsOf(shape).images, 1, 2}; }

Result<Shape> SameShape(const ShapeCall& call, const Quantization& quantization,
                        QuantizationSource source) {
  TRY(CheckQuantization(call, quantization));
  if (source > QuantizationSource::kTensor) return ShapeError(call, "its source does not exist");
  if (source == QuantizationSource::kTensor) {
    if (quantization != Quantization{}) return ShapeError(call, "has two sets of parameters");
    return CheckedRange(call);
  }
  return call.input();
}

}  // namespace

Result<Shape> CheckedRange(const ShapeCall& call) {
  if (call.inputs[1] != RangeOf(call.input())) {
    return ShapeError(call, "its second input is not the range of its first");
  }
  return call.input();
}

Result<Shape> InferQuantize(const Quantize& attrs, const ShapeCall& call) {
  return SameShape(call, attrs.out, attrs.source);
}

Result<Shape> InferDequantize(const Dequantize& attrs, const ShapeCall& call) {
  return SameShape(call, attrs.in, attrs.source);
}

Result<Shape> InferRowExtremes(const ShapeCall& call) {
  if (call.stage != Stage::kRows) return ShapeError(call, "belongs to rows");
  const RowShape rows = RowsOf(call.input());
  return Shape{rows.images, rows.rows, 2};
}

Result<Shape> InferQuantizationRange(const ShapeCall& call) {
  const Shape& in = call.input();
  if (in.rank() == 0) return ShapeError(call, "needs an input of rank 1 or more");
  if (call.stage == Stage::kRows && (in.rank() != 3 || in[2] != 2)) {
    return ShapeError(call, "its input is not the extremes of rows");
  }
  return RangeOf(in);
}

Result<Shape> InferQuantizedAdd(const QuantizedAdd& attrs, const ShapeCall& call) {
  for (const Quantization* quantization : {&attrs.a, &attrs.b, &attrs.out}) {
    TRY(CheckQuantization(call, *quantization));
  }
  if (call.inputs[0] != call.inputs[1]) return ShapeError(call, "its inputs differ in shape");
  return call.input();
}

}  // namespace coracle::graph

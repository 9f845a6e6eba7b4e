// The shape rule of each operator. Internal to graph/: infer.cc dispatches to these.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::graph {

/// What a rule sees. The number of inputs has been checked; every dimension is at least 1.
struct ShapeCall {
  const Node& node;
  std::span<const Shape> inputs;
  Stage stage;
  const Shape& declared;

  const Shape& input() const { return inputs[0]; }
  uint32_t ChannelAxis() const { return stage == Stage::kRows ? input().rank() - 1 : 1; }
  uint32_t HeightAxis() const { return stage == Stage::kRows ? 1 : 2; }
  uint32_t WidthAxis() const { return HeightAxis() + 1; }
};

/// kInvalidArgument: "Conv 'layer1': ...".
Error ShapeError(const ShapeCall& call, std::string_view what);

Result<Shape> InferConv(const Conv& attrs, const ShapeCall& call);
Result<Shape> InferConvTranspose(const ConvTranspose& attrs, const ShapeCall& call);
Result<Shape> InferPool(const Pool& attrs, const ShapeCall& call);
Result<Shape> InferResize(const Resize& attrs, const ShapeCall& call);
Result<Shape> InferReorg(const Reorg& attrs, const ShapeCall& call);
Result<Shape> InferDetectionHead(const DetectionHead& attrs, const ShapeCall& call);

Result<Shape> InferRecurrence(const Recurrence& attrs, const ShapeCall& call);
Result<Shape> InferAttention(const Attention& attrs, const ShapeCall& call);

/// The first input's shape, if the second is a range of its images. Requires: two inputs.
Result<Shape> CheckedRange(const ShapeCall& call);
Result<Shape> InferQuantize(const Quantize& attrs, const ShapeCall& call);
Result<Shape> InferDequantize(const Dequantize& attrs, const ShapeCall& call);
Result<Shape> InferQuantizationRange(const ShapeCall& call);
Result<Shape> InferRowExtremes(const ShapeCall& call);
Result<Shape> InferQuantizedAdd(const QuantizedAdd& attrs, const ShapeCall& call);

Result<Shape> InferConcat(const Concat& attrs, const ShapeCall& call);
Result<Shape> InferSlice(const Slice& attrs, const ShapeCall& call);
Result<Shape> InferTranspose(const Transpose& attrs, const ShapeCall& call);
Result<Shape> InferReshape(const Reshape& attrs, const ShapeCall& call);
Result<Shape> InferPad(const Pad& attrs, const ShapeCall& call);

/// The numpy broadcast of two shapes. Errors: kInvalidArgument.
Result<Shape> BroadcastShapes(const ShapeCall& call, const Shape& a, const Shape& b);

}  // namespace coracle::graph

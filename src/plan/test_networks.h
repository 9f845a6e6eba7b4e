// Networks for the planner's tests: packed kRows graphs without weights' values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace coracle::plan {

/// Builds a kRows graph node by node; Finish() packs and verifies it.
class NetworkBuilder {
 public:
  using T = graph::TensorIndex;

  T Input(Shape shape);
  T Conv(T in, uint32_t channels, uint32_t kernel, uint32_t stride = 1);
  /// Any window, groups and dilation.
  T ConvOf(T in, const graph::Conv& conv);
  T Transposed(T in, uint32_t channels, uint32_t kernel, uint32_t stride);
  /// 3x3, "same", by `algorithm`; with a residual of the result's shape if there is one.
  T Winograd(T in, uint32_t channels, graph::ConvAlgorithm algorithm, T residual = NoIndex<T>());
  T Depthwise(T in, uint32_t kernel, uint32_t stride = 1);
  /// 1x1 or larger convolution with a residual of the result's shape.
  T ConvAdd(T in, T residual, uint32_t channels, uint32_t kernel);
  T Pool(T in, uint32_t kernel, uint32_t stride);
  T GlobalPool(T in);
  T Dense(T in, uint32_t features);
  T Affine(T in);
  T Relu(T in);
  T Add(T a, T b);
  T Upsample(T in, uint32_t factor);
  T Softmax(T in);
  T Concat(std::vector<T> inputs, uint32_t axis);
  T Slice(T in, uint32_t axis, uint32_t begin, uint32_t count);
  T Reshape(T in, Shape shape);
  T Recurrence(const graph::Recurrence& cell, std::vector<T> inputs);
  T Attention(T q, T k, T v);
  T Transpose(T in, std::vector<uint32_t> perm);
  /// `amount` on both sides of rows and pixels.
  T Pad(T in, graph::PadMode mode, uint32_t amount);
  /// float32 to uint8 and back; `range`, if there is one, is a RangeOf().
  T Quantize(T in, T range = NoIndex<T>());
  T Dequantize(T in, T range = NoIndex<T>());
  /// Scale and zero point of `in`, by its rows' extremes.
  T RangeOf(T in);
  T QuantizedAdd(T a, T b);
  void Output(T tensor);

  const Shape& ShapeOf(T tensor) const { return graph_.shape(tensor); }
  bool IsQuantized(T tensor) const { return graph_.tensor(tensor).dtype == DType::kUint8; }
  graph::Graph Finish();

 private:
  T Append(graph::Attributes attrs, std::vector<T> inputs, Shape declared = {},
           graph::Residual residual = graph::Residual::kNone);

  graph::Graph graph_;
};

graph::Graph MakeVgg16();
graph::Graph MakeResNet50();
graph::Graph MakeMobileNetV2();
graph::Graph MakeDenseNet121();
/// Input side `side`; four levels with skip connections by Concat.
graph::Graph MakeUNet(uint32_t side);
/// A random mix of branches, concatenations, slices, residuals, reshapes and heads.
graph::Graph MakeRandomNetwork(uint32_t seed);
/// A random mix of recurrences, attention and dense layers over sequences.
graph::Graph MakeRandomSequences(uint32_t seed);
/// A random mix of float32 and uint8 tensors, quantised with constant and with found ranges, that
/// are moved, cut, joined and added.
graph::Graph MakeRandomQuantized(uint32_t seed);
/// `nodes` small convolutions in a row, every third with a residual.
graph::Graph MakeChain(uint32_t nodes, uint32_t side);

}  // namespace coracle::plan

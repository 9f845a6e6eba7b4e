// One layer with its operands in memory, run to find out how long its kernel takes.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"
#include "kernels/kernel.h"

namespace coracle::runtime {

/// Floats that begin at a multiple of 64 bytes, all of one value.
class AlignedFloats {
 public:
  explicit AlignedFloats(uint64_t count, float value = 0.25F);
  float* data() { return memory_.data() + skip_; }

 private:
  std::vector<float> memory_;
  uint64_t skip_ = 0;
};

/// What it computes means nothing. One thread.
class SmallLayer {
 public:
  /// Shapes in rows order (N,H,W,C), one image. kUint8: a Conv or Dense on integers.
  SmallLayer(graph::Attributes attrs, const std::vector<Shape>& inputs, const Shape& output,
             graph::Activation activation = {}, DType dtype = DType::kFloat32);

  /// Floats of weights and operands.
  uint64_t FloatCount() const;
  /// Lays them out in `memory`, which must outlive the layer's runs and begin at a multiple of 64
  /// bytes. Layers may share memory. Once.
  void Place(float* memory);
  /// Computes all rows once, by the best kernel for this machine. Requires: placed; a kind that
  /// needs no workspace.
  void Run() const;

 private:
  const graph::Node& node() const { return graph_.nodes[0]; }
  uint64_t WeightFloats() const { return node().weights.TotalBytes() / sizeof(float); }
  kernels::Rows RowsAt(graph::TensorIndex tensor, float* base) const;

  graph::Graph graph_;
  const float* weights_ = nullptr;
  std::vector<kernels::Rows> inputs_;
  kernels::Rows output_;
};

}  // namespace coracle::runtime

// One layer of WeightType::kDot8 with random weights, packed, and its result by the definition: for
// tests and benches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernel.h"
#include "kernels/simd/panels_case.h"
#include "kernels/simd/panels_rehearsal.h"

namespace coracle::kernels {

/// What a LayerShape leaves open.
struct IntegerShape {
  graph::QuantizationSource in_source = graph::QuantizationSource::kConstant;
  DType output = DType::kUint8;
  graph::Quantization out = {};
  uint8_t in_zero = 0;
  bool weight_zeros = false;
  bool integer_bias = false;
  float multiplier = 0.01F;  ///< about
};

class IntegerCase {
 public:
  /// Requires: a Conv or Dense.
  IntegerCase(const LayerShape& shape, const IntegerShape& integer, uint64_t seed);

  const graph::Graph& graph() const { return graph_; }
  const graph::Node& node() const { return graph_.nodes[0]; }
  /// Replaces the chunks that CutIntoChunks gave.
  void SetLayout(graph::WeightLayout layout);
  /// Chunk's plain text, 64-byte aligned.
  const std::byte* Text(size_t chunk) const { return texts_[chunk].data() + skips_[chunk]; }

  /// Dense input: every byte, a few of them at the ends of their range.
  const std::vector<uint8_t>& input() const { return input_; }
  /// All outputs (a uint8 as a float of that value), image after image, dense.
  std::vector<float> Expected() const;
  /// The same by `kernel`, in row ranges of any size, through rings and slices. Expects
  /// (GoogleTest) that nothing else was written.
  std::vector<float> Compute(PanelKernel kernel, Random& random) const;

 private:
  double SumAt(uint32_t image, uint32_t y, uint32_t x, uint32_t channel) const;
  void ComputeRows(PanelKernel kernel, RowRange rows, Random& random,
                   std::vector<float>& result) const;
  uint8_t InZero(uint32_t image) const;

  LayerShape shape_;
  IntegerShape integer_;
  graph::Graph graph_;
  graph::RowShape in_, out_;
  std::vector<int8_t> weights_;
  std::vector<uint8_t> input_;
  std::vector<float> ranges_;  // scale and zero point of each image
  std::vector<std::vector<std::byte>> texts_;
  std::vector<size_t> skips_;
};

}  // namespace coracle::kernels

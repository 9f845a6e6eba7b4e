// One layer with random weights, packed, and its operands in memory: for tests and benches of the
// panel and depthwise kernels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel.h"
#include "kernels/packing.h"

namespace coracle::kernels {

/// What to build. Conv and ConvTranspose read `window`; Dense only channels.
struct LayerShape {
  graph::OpKind kind = graph::OpKind::kConv;
  uint32_t images = 1, height = 1, width = 1;
  uint32_t inputs = 1, outputs = 1, groups = 1;
  graph::Window window = {};
  graph::ConvAlgorithm algorithm = graph::ConvAlgorithm::kDirect;
  uint32_t output_pad = 0;
  graph::Activation activation = {};
  graph::Residual residual = graph::Residual::kNone;
  /// kFloat32 where the layer does not allow it.
  graph::WeightType weight_type = graph::WeightType::kFloat32;
};

/// How operands lie in memory.
struct OperandLayout {
  uint32_t extra_channels = 0;  ///< a slice of wider pixels
  uint32_t extra_row_floats = 0;
};

class LayerCase {
 public:
  LayerCase(const LayerShape& shape, uint64_t seed);

  const graph::Graph& graph() const { return graph_; }
  const graph::Node& node() const { return graph_.nodes[0]; }
  const LayerShape& shape() const { return shape_; }
  uint32_t output_height() const { return output_height_; }
  uint32_t output_width() const { return output_width_; }

  /// Replaces the chunks that CutIntoChunks gave.
  void SetLayout(graph::WeightLayout layout);
  /// Chunk's plain text, 64-byte aligned.
  const std::byte* Text(size_t chunk) const {
    return reinterpret_cast<const std::byte*>(texts_[chunk].data());
  }

  /// The result for dense operands by the definition, one std::fma chain per output.
  std::vector<float> Expected(const std::vector<float>& input,
                              const std::vector<float>& residual) const;

  /// The weights that Expected() multiplies, in the owner's order, and the owner's own.
  const std::vector<float>& weights() const { return weights_; }
  std::span<const float> owner_weights() const;

  /// One output of image 0 before residual and activation, summed in float64.
  double SumInFloat64(const std::vector<float>& input, uint32_t y, uint32_t x,
                      uint32_t channel) const;

  size_t InputElements() const;
  size_t OutputElements() const;
  std::vector<float> RandomFloats(size_t count, uint64_t seed) const;

 private:
  struct AlignedText {
    std::vector<float> floats;
    size_t skip = 0;
    const float* data() const { return floats.data() + skip; }
  };
  template <typename Real>
  Real Sum(const std::vector<float>& input, uint32_t image, uint32_t y, uint32_t x,
           uint32_t channel) const;
  /// Place of a weight in the owner's array.
  size_t WeightIndex(uint32_t out, uint32_t in, uint32_t ky, uint32_t kx) const;
  void ReadBack();

  LayerShape shape_;
  uint32_t output_height_ = 1, output_width_ = 1;
  graph::Graph graph_;
  std::vector<AlignedText> texts_;
  std::vector<float> weights_;  // as the owner's array; quantised: as the chunks hold them
};

/// "Conv n1 7x7 160->100 g1 k3x3 ...".
std::string Describe(const LayerShape& shape);

/// The activations that a scalar can state exactly: the kinds that tests use.
float ExactActivation(const graph::Activation& activation, float x);

}  // namespace coracle::kernels

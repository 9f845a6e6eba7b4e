// ModelProfile: what the layers of a model take when they are computed one by one from whole
// buffers, as unmodified engines do it: what a traced program's buffers are compared with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cmd/support/console.h"
#include "graph/graph.h"

namespace coracle::cmd {

enum class LayerKind : uint8_t { kConvolution, kConnected, kPooling, kOther };

/// Bytes are those of float32 values.
struct LayerProfile {
  std::string name;   ///< of the graph's node
  std::string title;  ///< "convolution 2 (conv1_2)", "connected layer 1", else its name
  std::string
      shape;  ///< of a convolution: "3x3x64 at 224x224": window, input channels, output size
  LayerKind kind = LayerKind::kOther;
  graph::NodeIndex node{};
  uint64_t weights_bytes = 0;  ///< without biases
  uint64_t bias_bytes = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  /// Of a convolution: every patch of its input, unfolded into a matrix of its own: KH KW C /
  /// groups OH OW values (Chellapilla, Puri and Simard, High Performance Convolutional Neural
  /// Networks for Document Processing, IWFHR 2006). Else 0.
  uint64_t im2col_bytes = 0;
};

struct ModelProfile {
  std::string name;
  uint64_t input_bytes = 0;
  std::vector<LayerProfile> layers;  ///< in the order of the graph

  uint64_t WeightsBytes() const;
  /// The layer whose unfolded patches are largest; null if there are no convolutions.
  const LayerProfile* LargestIm2col() const;
};

/// Requires: Stage::kRows. A network of VGG-16's sequence of convolutions, poolings and connected
/// layers has that paper's names of layers in its titles (Simonyan and Zisserman, ICLR 2015).
ModelProfile ProfileOf(const graph::Graph& graph, const std::string& name);

/// One entry a layer: name, title, weights_bytes, input_bytes, output_bytes, im2col_bytes.
Json ProfileJson(const ModelProfile& profile);

}  // namespace coracle::cmd

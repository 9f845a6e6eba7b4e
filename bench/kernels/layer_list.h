// The layers that the kernel bench runs: those of the networks that Coracle is measured with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simd/panels_case.h"

namespace coracle::bench {

struct ListedLayer {
  std::string network;
  std::string name;
  uint32_t count = 1;  ///< layers of this shape in the network
  kernels::LayerShape shape;
};

/// Each distinct convolution of ResNet-50 v1.5, VGG-16, YOLOv3 (416), MobileNetV2 and DenseNet-121
/// (224) once, with its count; then single layers of other networks ("other").
std::vector<ListedLayer> ListedLayers();

/// The layer with the algorithm that sealing would choose for it.
kernels::LayerShape AsSealed(const kernels::LayerShape& shape);

/// Multiply-adds of a layer with so many output elements.
uint64_t MultiplyAddsOf(const kernels::LayerShape& shape, uint64_t output_elements);

}  // namespace coracle::bench

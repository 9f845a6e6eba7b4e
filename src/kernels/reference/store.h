// The end of a sum: residual and activation.
#pragma once

#include "kernels/kernel.h"
#include "kernels/reference/activation.h"

namespace coracle::kernels::reference {

/// What is stored at channel `channel` of output pixel (y, x) for the complete sum `sum`.
inline float Finish(const graph::Node& node, const Image& image, uint32_t y, uint32_t x,
                    uint32_t channel, float sum) {
  if (node.residual == graph::Residual::kNone) return Activate(node.activation, sum);
  const float residual = image.inputs.back().Pixel(y, x)[channel];
  if (node.residual == graph::Residual::kBeforeActivation) {
    return Activate(node.activation, sum + residual);
  }
  return Activate(node.activation, sum) + residual;
}

}  // namespace coracle::kernels::reference

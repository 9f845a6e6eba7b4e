// Max pooling of uint8 tensors: one kernel for all targets.
#pragma once

#include "graph/op.h"
#include "kernels/kernel.h"

namespace coracle::kernels {

/// Pads never win: they are 0, the least value. Requires: a uint8 image.
void MaxPoolBytes(const graph::Window& window, const Image& image, RowRange rows);

}  // namespace coracle::kernels

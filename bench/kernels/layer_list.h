// The layers that the kernel benches run: those of the networks that Coracle is measured with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simd/panels_case.h"

namespace coracle::bench {

struct NamedLayer {
  std::string name;
  kernels::LayerShape shape;
};

std::vector<NamedLayer> BenchLayers();

/// Multiply-adds of a layer with so many output elements.
uint64_t MultiplyAddsOf(const kernels::LayerShape& shape, uint64_t output_elements);

}  // namespace coracle::bench

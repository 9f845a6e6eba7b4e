// The same layer computed by oneDNN, in the memory formats that it prefers, on as many threads as
// OpenMP has.
#pragma once

#include <memory>

#include "kernels/simd/panels_case.h"

namespace coracle::bench {

class OneDnnLayer {
 public:
  /// Convolutions, transposed ones and dense layers; null for what oneDNN is not asked to do here.
  static std::unique_ptr<OneDnnLayer> Make(const kernels::LayerShape& shape);
  /// On 8-bit integers, relu fused: convolutions; else null.
  static std::unique_ptr<OneDnnLayer> MakeInteger(const kernels::LayerShape& shape);
  /// AVX-512 VNNI at most, in this process. Before the first layer is made.
  static void HoldToVnni();
  virtual ~OneDnnLayer() = default;
  virtual void Run() = 0;
};

}  // namespace coracle::bench

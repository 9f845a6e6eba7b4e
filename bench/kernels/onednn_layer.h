// The same layer computed by oneDNN, in the memory formats that it prefers, on one thread.
#pragma once

#include <memory>

#include "kernels/simd/panels_case.h"

namespace coracle::bench {

class OneDnnLayer {
 public:
  /// Convolutions and dense layers; null for what oneDNN is not asked to do here.
  static std::unique_ptr<OneDnnLayer> Make(const kernels::LayerShape& shape);
  virtual ~OneDnnLayer() = default;
  virtual void Run() = 0;
};

}  // namespace coracle::bench

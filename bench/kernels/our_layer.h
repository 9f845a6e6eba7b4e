// A layer computed by our kernels, its weights already opened into one slot that stays in cache.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/kernel.h"
#include "kernels/simd/panels_case.h"

namespace coracle::bench {

class OurLayer {
 public:
  explicit OurLayer(const kernels::LayerShape& shape);

  /// One pass over all chunks and rows.
  void Run();
  size_t output_elements() const { return layer_.OutputElements(); }

 private:
  kernels::LayerCase layer_;
  kernels::PanelKernel kernel_;
  std::vector<float> input_, output_, slot_;
  std::vector<std::byte> workspace_;
  kernels::Rows input_rows_, output_rows_;
};

}  // namespace coracle::bench

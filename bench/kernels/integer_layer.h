// A layer of WeightType::kDot8 computed by our kernels, on one thread, its weights opened.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/kernel.h"
#include "kernels/simd/panels_case.h"

namespace coracle::bench {

class IntegerLayer {
 public:
  /// uint8 to uint8, random weights. Requires: a Conv or Dense, no residual.
  explicit IntegerLayer(const kernels::LayerShape& shape);

  void Run();
  size_t output_elements() const { return output_.size(); }

 private:
  struct Text {
    std::vector<std::byte> bytes;
    const std::byte* aligned = nullptr;
  };

  graph::Graph graph_;
  std::vector<int8_t> weights_;
  std::vector<uint8_t> input_, output_;
  kernels::Rows input_rows_, output_rows_;
  std::vector<Text> texts_;
  std::vector<std::byte> workspace_;
  kernels::PanelKernel kernel_ = nullptr;
};

}  // namespace coracle::bench

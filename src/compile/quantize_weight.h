// A layer's float32 weights as int8, symmetric, with a step for each output channel.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "graph/constant.h"
#include "graph/graph.h"

namespace coracle::compile {

struct QuantizedWeight {
  std::shared_ptr<const graph::Constant> weight;  ///< int8, -127..127; shape and order as before
  std::vector<float> steps;                       ///< by output channel: weight = step * int8
  /// By output channel: what rounding the weights takes from the layer's mean result, to be added
  /// to its bias (Nagel et al., arXiv:1906.04721, section 4.2; padding counts as image).
  std::vector<float> bias_shifts;
};

/// Steps of least squared error among those that cut off up to a fifth of the largest weight. The
/// source's scale is left out of it all: it multiplies the weight, and the shift, still.
/// `input_means`: of the layer's input, by channel. Requires: a Conv or Dense with a float32
/// source.
QuantizedWeight QuantizeWeight(const graph::Node& node, std::span<const float> input_means);

}  // namespace coracle::compile

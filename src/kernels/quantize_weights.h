// Quantising weights (graph::WeightType::kInt8 and kInt4): the scales that give the least error,
// and the packed rows. Owner side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"

namespace coracle::kernels {

class PanelWeights;

/// True if the node's weights may be quantised: a Conv that is not depthwise and does not weave
/// narrow groups, a ConvTranspose, a Dense.
bool AllowsQuantizedWeights(const graph::Graph& graph, const graph::Node& node);

/// What quantising a node's weights loses.
struct QuantizationLoss {
  double error_squares = 0;   ///< sum of (w - w')^2
  double weight_squares = 0;  ///< sum of w^2
  bool finite = true;         ///< false: some weight is infinite or not a number

  /// RMS of the error over RMS of the weights; 0 where all are 0.
  double Relative() const;
};

/// Finds the scale of each output channel (WeightSource::weight_steps) for kInt8, and what
/// quantising to `type` loses. kInt4 needs no steps: its scales are found when it is packed. A
/// channel whose largest weight is below 2^-100 becomes zeros.
/// Requires: node.source set; AllowsQuantizedWeights(); kRows.
QuantizationLoss MeasureQuantization(const graph::Graph& graph, const graph::Node& node,
                                     graph::WeightType type, std::vector<float>& steps);

/// Writes the scales and rows of one panel of a chunk whose rows of K begin at `k_begin`. `steps`:
/// kInt8, one for each output channel. Requires: all weights finite.
void PackQuantized(const PanelWeights& weights, std::span<const float> steps,
                   const PanelGeometry& panel, uint32_t k_begin, const PanelText& layout,
                   std::byte* text);

}  // namespace coracle::kernels

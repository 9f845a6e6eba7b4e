// The choice of each layer's weight type (graph::WeightType), made once, when sealing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::passes {

/// What `coracle seal --weights` says.
enum class WeightChoice : uint8_t {
  kFloat32 = 0,
  kInt8 = 1,  ///< every layer that allows it
  kInt4 = 2,  ///< fully connected layers int4, all others that allow it int8
  /// int8 where a layer has little arithmetic for each byte of its weights, so that opening fewer
  /// bytes pays, as long as the network's error stays within bounds.
  kAuto = 3,
};

/// What became of one layer with quantised weights.
struct QuantizedLayer {
  graph::NodeIndex node{};
  graph::WeightType type = graph::WeightType::kFloat32;
  /// RMS of the weights' error over RMS of the weights: what the layer's output would lose if its
  /// input were noise.
  double error = 0;
  /// Milliseconds that opening and computing the whole layer takes less, by the cost model.
  double saved_ms = 0;
};

/// The network's error if layers' errors are independent of one another and each reaches the
/// output undiminished: the root of the sum of their squares. A bound for networks whose layers
/// neither amplify noise nor depend on one another's; used where no inputs are there to measure.
double EstimatedError(const std::vector<QuantizedLayer>& layers);

/// Gives layers their weight types. Under kAuto, layers are taken by how much time they save for
/// what they lose, until EstimatedError() would pass `error_max`. Returns the quantised layers, in
/// the order of that choice (kAuto) or of the graph.
/// Errors: kInvalidArgument if a layer has a weight that is infinite or not a number (kAuto leaves
/// such a layer as it is). Requires: kRows, sources set, before weights are cut into chunks.
Result<std::vector<QuantizedLayer>> ChooseWeightTypes(graph::Graph& graph, WeightChoice choice,
                                                      double error_max);

/// Makes a layer's weights float32 again.
void Unquantize(graph::Graph& graph, const QuantizedLayer& layer);

}  // namespace coracle::passes

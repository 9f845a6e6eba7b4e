// Which tensors of a network become uint8 (quantize_activations.h says by what rules), and which
// share a quantisation.
#pragma once

#include <cstdint>
#include <vector>

#include "compile/calibration.h"
#include "compile/tensor_groups.h"
#include "compile/value_range.h"
#include "graph/graph.h"

namespace coracle::compile {

class TensorForms {
 public:
  /// `summaries`: by tensor. Requires: as QuantizeActivations().
  TensorForms(const graph::Graph& graph, const std::vector<TensorSummary>& summaries);

  /// The node reads its tensors as uint8.
  bool TakesUint8(graph::NodeIndex node) const { return takes_[Position(node)]; }
  /// Some reader takes the tensor as uint8; all of them do.
  bool AnyTakes(graph::TensorIndex tensor) const { return uint8_readers_[Position(tensor)] > 0; }
  bool AllTake(graph::TensorIndex tensor) const {
    return AnyTakes(tensor) && float_readers_[Position(tensor)] == 0;
  }
  /// Of a tensor that exists as uint8: one for all that movements join.
  graph::Quantization QuantizationOf(graph::TensorIndex tensor) const;

 private:
  bool Takes(const graph::Graph& graph, const graph::Node& node) const;

  std::vector<bool> takes_;
  std::vector<uint32_t> uint8_readers_;  ///< by tensor
  std::vector<uint32_t> float_readers_;  ///< graph outputs among them
  TensorGroups groups_;                  ///< of one quantisation
  std::vector<ValueRange> ranges_;       ///< by root
};

}  // namespace coracle::compile

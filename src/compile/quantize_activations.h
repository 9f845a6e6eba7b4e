// A float32 network rewritten so that its layers compute on integers (graph/quantization.h).
//
// Which tensors become uint8:
//   - the input of every Conv and Dense that CanSumIntegers(); its output too if all that read it
//     take uint8, else the layer gives float32 from its exact sums;
//   - both operands and the result of an addition (QuantizedAdd), if a reader of the result takes
//     uint8;
//   - what max pooling, Concat, Slice, Reshape, Transpose and Resize to the nearest move, if all
//     that read the result take uint8. These give their input's codes, so that what they join
//     shares one quantisation.
// Everything else (average pooling, softmax, normalisation, detection heads, graph inputs and
// outputs) stays float32; a Quantize or Dequantize stands where the two meet.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "compile/calibration.h"
#include "graph/graph.h"

namespace coracle::compile {

/// A layer of the float32 network and the same in the quantised one.
struct IntegerLayer {
  std::string name;
  graph::TensorIndex before{};       ///< its output in the float32 network
  graph::TensorIndex after{};        ///< and in the quantised one: uint8, or float32
  graph::Quantization quantization;  ///< of `after`, if it is uint8
};

struct QuantizedGraph {
  graph::Graph graph;                ///< weights not yet cut into chunks
  std::vector<IntegerLayer> layers;  ///< Conv, Dense and additions, in the network's order
};

/// `summaries`: by tensor of `graph` (calibration.h). Requires: a verified kRows graph, sources
/// attached, residuals split (split_residuals.h). Errors: kUnsupported if no layer can compute on
/// integers.
Result<QuantizedGraph> QuantizeActivations(const graph::Graph& graph,
                                           const std::vector<TensorSummary>& summaries);

}  // namespace coracle::compile

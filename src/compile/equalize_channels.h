// Channels brought to one size before a tensor is quantised.
//
// A tensor has one scale for all of its channels, so that a channel a hundred times smaller than
// another keeps one or two codes of 256. Between layers each channel may be divided by a number of
// its own, if what makes it is divided and what reads it multiplied by the same (Nagel et al.,
// arXiv:1906.04721, section 4.1; with the activations' sizes as in Xiao et al., arXiv:2211.10438).
#pragma once

#include <vector>

#include "compile/calibration.h"
#include "graph/graph.h"

namespace coracle::compile {

/// The same network, to float rounding, with the channels of tensors brought closer to one another
/// wherever all makers and readers allow it: layers that CanSumIntegers() (makers with no
/// activation, ReLU or leaky ReLU), additions, max pooling and Resize to the nearest between them.
/// The readers' weights are copied. `summaries`: by tensor; of the result, calibrate anew.
/// Requires: as QuantizeActivations().
graph::Graph EqualizeChannels(const graph::Graph& graph,
                              const std::vector<TensorSummary>& summaries);

}  // namespace coracle::compile

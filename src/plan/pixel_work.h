// What the kernels without panels do for one output pixel, as the cost model counts it.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// Floats of the vectors that rates count in.
inline constexpr double kLanes = 16;

/// Vectors that hold a pixel's channels.
double Vectors(uint32_t channels);

/// Work of one output pixel in measured units. The factors were found with bench/plan/cost_bench.
struct PixelWork {
  double pixels = 0;        ///< x pixel_ns
  double vectors = 0;       ///< x vector_ns
  double exponentials = 0;  ///< x exponential_ns
  double far = 1;           ///< x bytes beyond the second-level cache / activation_gbps
};

/// Without the node's activation. Requires: no Conv, ConvTranspose, Dense or MatMul.
PixelWork WorkOf(const graph::Graph& graph, const graph::Node& node);

/// Nanoseconds of an activation that is a pass of its own, for one vector.
double ActivationNs(graph::ActivationKind kind, const MachineRates& rates);

}  // namespace coracle::plan

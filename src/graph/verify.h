// The verifier: run after each pass, and by the enclave on every graph that it has decoded.
#pragma once

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::graph {

/// Named limits on what any graph may ask for.
inline constexpr uint32_t kMaxNodes = 20'000;
inline constexpr uint32_t kMaxTensors = 40'000;
inline constexpr uint32_t kMaxDimension = 1U << 24;
inline constexpr uint64_t kMaxTensorElements = uint64_t{1} << 31;
inline constexpr uint32_t kMaxInputsPerNode = 4096;
inline constexpr uint32_t kMaxNameBytes = 1024;
inline constexpr uint32_t kMaxKernel = 255;
/// Products in one integer sum (WeightType::kDot8).
inline constexpr uint64_t kMaxIntegerSumTerms = 65'536;

/// Indices in range, topological order, one producer per tensor, shapes equal to InferShape's,
/// attributes within limits, kRows restrictions, residuals, ports' permutations; chunk lists
/// consistent with the node (kinds, order, complete K and panels, bytes) where present. Errors:
/// kMalformed (kUnsupported past a limit) naming the node or tensor.
Status Verify(const Graph& graph);

}  // namespace coracle::graph

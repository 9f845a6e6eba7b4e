// Ports: graph inputs and outputs between the user's element order and where the plan has placed
// them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::runtime {

/// Walks a port's elements in the user's (row-major) order; strides are those of the placed tensor.
class PortMap {
 public:
  /// `pool` must outlive the map.
  PortMap(const graph::Graph& graph, const graph::Port& port, const plan::Placement& placement,
          std::byte* pool);

  /// Copies elements [first, first + values.size()) into the pool. Requires: in range.
  void Write(uint64_t first, std::span<const float> values) const;
  /// Copies them out of the pool. Requires: in range.
  void Read(uint64_t first, std::span<float> values) const;

 private:
  template <typename Move>
  void Walk(uint64_t first, uint64_t count, Move move) const;

  Shape shape_;                                ///< the user's
  std::array<ptrdiff_t, kMaxRank> strides_{};  ///< floats, per user axis
  float* base_;
};

}  // namespace coracle::runtime

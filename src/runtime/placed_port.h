// PlacedPort: a graph input or output where a plan has put it, in the pool or outside.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "runtime/block_stage.h"
#include "runtime/ports.h"

namespace coracle::runtime {

class PlacedPort {
 public:
  /// Requires: plan::Validate(graph, plan) succeeded. `pool` must outlive the port.
  PlacedPort(const graph::Graph& graph, const plan::Plan& plan, const graph::Port& port,
             std::byte* pool);

  /// Copies elements [first, first + values.size()), in the user's order, there or from there.
  /// A port outside passes each block that they touch through `stage` once. Requires: in range.
  /// Errors: as BlockStage.
  Status Write(uint64_t first, std::span<const float> values, BlockStage& stage) const;
  Status Read(uint64_t first, std::span<float> values, BlockStage& stage) const;

  /// Outside: nothing of it has been written.
  void ForgetRows();

 private:
  template <typename Body>
  Status ForEachSegment(uint64_t first, uint64_t count, Body body) const;

  PortMap map_;
  PortRows order_;
  float* base_ = nullptr;               ///< in the pool
  std::optional<OutsideRows> outside_;  ///< or outside
};

}  // namespace coracle::runtime

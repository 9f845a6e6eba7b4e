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
  /// `port` is the graph's for one input. Requires: plan::Validate(graph, plan) succeeded. `pool`
  /// must outlive the port.
  PlacedPort(const graph::Graph& graph, const plan::Plan& plan, const graph::Port& port,
             std::byte* pool);

  /// Copies elements [first, first + values.size()), in the user's order and input after input of
  /// the convoy, there or from there.
  /// A port outside passes each block that they touch through `stage` once. Requires: in range.
  /// Errors: as BlockStage.
  Status Write(uint64_t first, std::span<const float> values, BlockStage& stage) const;
  Status Read(uint64_t first, std::span<float> values, BlockStage& stage) const;

  /// Outside: nothing of it has been written.
  void ForgetRows();

 private:
  /// Where elements [first, first + count) of the convoy's input `input` are in a block.
  struct Segment {
    uint32_t block = 0;
    uint64_t first = 0;
    uint64_t count = 0;
    ptrdiff_t origin = 0;  ///< PortMap's
  };
  template <typename Body>
  Status ForEachInput(uint64_t first, uint64_t count, Body body) const;
  template <typename Body>
  Status ForEachSegment(uint32_t input, uint64_t first, uint64_t count, Body body) const;

  PortMap map_;     ///< of one input
  PortRows order_;  ///< of one input
  uint32_t batch_ = 1;
  float* base_ = nullptr;               ///< in the pool
  uint64_t input_floats_ = 0;           ///< there, from one input to the next
  std::optional<OutsideRows> outside_;  ///< or outside
};

}  // namespace coracle::runtime

// NodeTimes: what each node takes in each flow, worked out once.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/cost.h"
#include "plan/plan.h"
#include "plan/row_flow.h"

namespace coracle::plan {

/// Rows that every node makes at a time (see RowFlow), by flow; the last two: whole layers (one
/// node a segment only), those of one input or of all together.
inline constexpr std::array<uint32_t, 7> kFlowRows{1, 2, 4, 8, 24, UINT32_MAX, UINT32_MAX};
inline constexpr uint32_t kFlowCount = kFlowRows.size();
inline constexpr uint32_t kWholeFlow = kFlowCount - 2;
/// Of convoys only.
inline constexpr uint32_t kTogetherFlow = kFlowCount - 1;

/// One node, in one flow, with one number of workers; of all inputs of the convoy.
struct NodeTime {
  double streamed_ms = 0;  ///< weights opened at every firing of every input (none: as held)
  double held_ms = 0;      ///< weights opened once
  double open_ms = 0;      ///< of held_ms, what pinning saves
  /// More if all that the step holds lies beyond the second-level cache, and this alone would not.
  double far_ms = 0;
  Split streamed_split = Split::kNone;
  Split held_split = Split::kNone;
};

class NodeTimes {
 public:
  /// `flows` has kWholeFlow entries at least (the whole flow needs none).
  NodeTimes(const graph::Convoy& convoy, const std::vector<RowFlow>& flows, uint32_t workers,
            const MachineRates& rates);

  uint32_t workers() const { return workers_; }
  const NodeTime& At(uint32_t flow, NodeNumber node) const { return times_[flow][node]; }

 private:
  uint32_t workers_;
  std::array<std::vector<NodeTime>, kFlowCount> times_;
};

/// True if the node's weights must all be open at once.
bool MustBeHeld(const graph::Node& node);

/// Bytes that a node's open weights take in the pool.
uint64_t PooledWeightBytes(const graph::Node& node);

/// One node's weights that time is saved with if they stay open.
struct WeightSaving {
  NodeNumber node = 0;
  uint64_t bytes = 0;
  double saved_ms = 0;
  double far_ms = 0;  ///< NodeTime::far_ms

  double Density() const { return saved_ms / static_cast<double>(bytes); }
};

/// Those that save the most time a byte first; of equal ones, earlier nodes.
void RankByDensity(std::vector<WeightSaving>& savings);

}  // namespace coracle::plan

// Segments: every stretch of nodes that one step may compute, and what it takes.
//
// Nodes are numbered in the order of execution. A cut lies before a node; tensors made before it
// and read after it are live across it, whole in the pool or outside. A segment [begin, end) needs
// the pool tensors live across its two cuts, a ring for each tensor that it makes and reads up, a
// window for each tensor outside that it touches, a slot and workspaces, and the weights that it
// holds.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/homes.h"
#include "plan/node_times.h"
#include "plan/pack.h"
#include "plan/plan.h"
#include "plan/row_flow.h"
#include "plan/storage.h"

namespace coracle::plan {

/// What all segments of one planning problem share.
struct World {
  const graph::Convoy* convoy = nullptr;
  const graph::Graph* graph = nullptr;  ///< for one input
  const Uses* uses = nullptr;
  const std::vector<LiveRange>* ranges = nullptr;
  const std::vector<RowFlow>* flows = nullptr;  ///< by flow, see kFlowRows
  BlockRows block_rows;
  StorageMap map;  ///< of the convoy's tensors
};

/// A dying pool tensor whose rows may be overwritten by a new one of the same segment.
struct OverlayPair {
  graph::TensorIndex read = NoIndex<graph::TensorIndex>();
  graph::TensorIndex made = NoIndex<graph::TensorIndex>();
};

/// A stretch of nodes [begin, end).
struct Stretch {
  NodeNumber begin = 0;
  NodeNumber end = 0;
  uint64_t pool_bytes = 0;       ///< storages and counters live across either cut
  uint64_t workspace_bytes = 0;  ///< per worker
  uint32_t slot_bytes = 0;       ///< per worker, if every weight is streamed
  uint32_t constant_bytes = 0;   ///< weights that must be held
  float transfer_ms = 0;         ///< sealing and opening rows, one worker
  float border_ms = 0;           ///< in pieces: BorderMs of tensors that others make or read
  bool elided = false;           ///< one node that needs no work
  bool together = false;         ///< of a convoy: may be done for all inputs at once
  std::array<uint32_t, kFlowCount> window_units{};  ///< by flow, in units of kPoolAlignment
  OverlayPair overlay;
  uint32_t overlay_units_max = 0;  ///< no overlay saves more

  bool single() const { return end == begin + 1; }
  uint64_t window_bytes(uint32_t flow) const { return window_units[flow] * kPoolAlignment; }
  uint64_t overlay_bytes_max() const { return overlay_units_max * kPoolAlignment; }
};

/// All stretches that may be segments, by their begin, then their end.
class SegmentTable {
 public:
  /// Cascades whose rings alone pass `bytes_max` are left out. `world` must outlive the table.
  SegmentTable(const World& world, uint64_t bytes_max, const MachineRates& rates);

  const std::vector<Stretch>& From(NodeNumber begin) const { return by_begin_[begin]; }
  const World& world() const { return world_; }

  /// Bytes that the stretch's overlay saves in `flow` (of whole layers: none).
  uint64_t OverlayBytes(const Stretch& stretch, uint32_t flow) const;

 private:
  const World& world_;
  std::vector<std::vector<Stretch>> by_begin_;
  mutable std::map<std::array<uint32_t, 4>, uint64_t> overlay_bytes_;
};

/// True if the tensor is made and read up in [begin, end).
bool IsInner(const World& world, graph::TensorIndex tensor, NodeNumber begin, NodeNumber end);
/// The tensor's readers in [begin, end).
std::span<const Use> ReadersIn(const Uses& uses, graph::TensorIndex tensor, NodeNumber begin,
                               NodeNumber end);
/// How the storages of an overlay lie if `bytes_below` (RowFlow::BytesBelow, of one input) parts
/// their tensors.
Overlay OverlayOf(const World& world, const OverlayPair& pair, int64_t bytes_below);

}  // namespace coracle::plan

// Binding: a plan turned into kernel arguments and addresses in one pool, so that running it only
// calls kernels and opens and seals what it is told to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/convoy.h"
#include "graph/graph.h"
#include "kernels/kernel.h"
#include "plan/plan.h"
#include "runtime/outside_rows.h"

namespace coracle::runtime {

/// A run of chunks, [begin, end) of the node's list, that completes the panels it touches: the unit
/// in which workers share a layer by panels.
struct ChunkGroup {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint64_t offset =
      0;  ///< bytes of the chunks before `begin`: its place among weights that are held
};

/// A chunk that is opened to be kept for a while (kHeld, kPinned), and where.
struct HeldChunk {
  const graph::ChunkDescriptor* chunk = nullptr;
  std::byte* plain = nullptr;
};

/// One node's share in a step, ready to run. Spans in `images` view `operands` of the same object.
struct BoundPart {
  const graph::Graph* graph = nullptr;  ///< that the step covers: of one input or of all
  const graph::Node* node = nullptr;    ///< of it
  plan::WeightsMode weights = plan::WeightsMode::kNone;
  plan::Split split = plan::Split::kNone;
  std::vector<kernels::Rows> operands;  ///< images x inputs
  std::vector<kernels::Image> images;   ///< those of all turns
  uint32_t turn_images = 0;             ///< of one turn
  std::vector<ChunkGroup> groups;
  kernels::PanelKernel panel_kernel = nullptr;  ///< one of the two kernels is set
  kernels::RowKernel row_kernel = nullptr;
  const std::byte* held = nullptr;  ///< kHeld, kPinned
};

/// A window of a tensor outside: where its blocks are opened to and sealed from.
struct BoundWindow {
  OutsideRows outside;
  std::byte* base = nullptr;
  uint32_t ring_rows = 0;
  bool spilled = false;  ///< neither graph input nor graph output

  /// The block's rows (of whichever input), which a ring never wraps.
  std::span<std::byte> Block(uint32_t block) const;
};

struct BoundAction {
  plan::ActionKind kind = plan::ActionKind::kCompute;
  uint32_t index = 0;  ///< of the step's part (kCompute) or window
  uint32_t begin = 0;  ///< rows (kCompute) or blocks
  uint32_t end = 0;
  /// kCompute with panels: whose first chunk is the next to be opened after this action, if nothing
  /// nearer to it can ask for it ahead of time.
  const BoundPart* following = nullptr;
};

/// One step, ready to run.
struct BoundStep {
  const plan::Step* step = nullptr;
  uint32_t turns = 1;                ///< how often the actions are done: for each input, or once
  std::vector<BoundPart> parts;      ///< empty if elided
  std::vector<BoundWindow> windows;  ///< as the step's; of Home::kStep: empty
  std::vector<HeldChunk> held;       ///< opened before the first action
  std::vector<BoundAction> actions;
};

struct BoundPlan {
  std::vector<BoundStep> steps;
  std::vector<HeldChunk> pinned;  ///< opened before the first prediction
};

/// Requires: plan::Validate(convoy.one(), plan) succeeded, the convoy is of plan.batch inputs, and
/// pool has plan.pool_bytes. All must outlive the result, which may be moved and not copied.
BoundPlan BindPlan(const graph::Convoy& convoy, const plan::Plan& plan,
                   const kernels::KernelSet& kernels, std::span<std::byte> pool);

/// End of the highest pool byte that the steps, the ports and pinned weights use.
uint64_t HighestByte(const graph::Convoy& convoy, const plan::Plan& plan);

}  // namespace coracle::runtime

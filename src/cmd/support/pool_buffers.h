// PoolBuffers: every range of the pool that a plan uses, with what lies there, when and why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::cmd {

enum class BufferKind : uint8_t {
  kTensor,     ///< a whole tensor
  kRing,       ///< the rows of a tensor that its readers still need
  kSource,     ///< rows that were opened from outside
  kSink,       ///< rows until they are sealed outside
  kSlot,       ///< one opened weight chunk at a time
  kWorkspace,  ///< a kernel's own
  kHeld,       ///< weights that are opened once for a step
  kPinned,     ///< weights that are kept open between predictions
  kDecoding,   ///< where coded weights are decoded
  kCounters,   ///< nonces of what is sealed outside
  kStaging,    ///< one block of an input or output outside
};
/// "tensor", "ring", ... as in JSON.
std::string_view BufferKindName(BufferKind kind);

/// Steps are counted without those that do nothing (IsIdle): -1 is before the first, their number
/// after the last. Ranges that live at once overlap only if they are both tensors.
struct PoolBuffer {
  std::string name;
  BufferKind kind = BufferKind::kTensor;
  plan::PoolRange range;
  int first_step = 0;
  int last_step = 0;  ///< inclusive
  std::string why;
};

/// True if nothing is to be done: the output already is where it belongs.
bool IsIdle(const plan::Step& step);

std::vector<PoolBuffer> PoolBuffers(const graph::Graph& graph, const plan::Plan& plan);

}  // namespace coracle::cmd

// The packer: gives buffers with live ranges their offsets in one pool, and says how few bytes any
// packing needs. A few greedy orders and a short local search come first (pack_greedy.h); an exact
// search (pack_search.h) follows where they miss the bound and the limits allow it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/liveness.h"

namespace coracle::plan {

/// What is placed: a storage or a step's scratch.
struct Buffer {
  uint64_t bytes = 0;  ///< multiple of kPoolAlignment, > 0
  StepNumber first = 0;
  StepNumber last = 0;  ///< both included; < UINT32_MAX
};

/// Two buffers that meet only at the step that computes `successor` from `predecessor` band by
/// band: they may overlap if successor <= predecessor - below, or successor >= predecessor + above
/// (offsets in bytes; multiples of kPoolAlignment).
struct Overlay {
  uint32_t predecessor = 0;
  uint32_t successor = 0;
  int64_t below = 0;
  int64_t above = 0;
};

/// How much work a packing is worth. Work is counted, never timed, so that every machine packs
/// alike.
struct PackLimits {
  uint64_t enough_bytes = 0;  ///< a pool that is no larger is not improved further
  /// Buffers that the exact search may look at, over all its nodes; about 20 million take a second.
  /// 0: no exact search.
  uint64_t search_work = 0;
};

/// For packings that are made by the hundred: some milliseconds at most.
inline constexpr uint64_t kQuickSearchWork = 100'000;

struct Packing {
  std::vector<uint64_t> offsets;  ///< by buffer; multiples of kPoolAlignment
  uint64_t pool_bytes = 0;
  /// No packing of these buffers is smaller: their highest live load, or more where the search went
  /// through all packings below.
  uint64_t bound_bytes = 0;
  uint64_t nodes = 0;  ///< that the exact search visited
};

/// Bytes that the two buffers of an overlay share at best.
uint64_t OverlaySaving(const Overlay& overlay, uint64_t predecessor_bytes,
                       uint64_t successor_bytes);

/// The smallest packing found within `limits`. Deterministic. Any number of distinct steps.
/// Requires: each buffer is at most once a predecessor and once a successor.
Packing Pack(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
             const PackLimits& limits);

}  // namespace coracle::plan

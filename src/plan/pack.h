// The packer: gives buffers with live ranges their offsets in one pool.
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
  StepNumber last = 0;  ///< both included
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

struct Packing {
  std::vector<uint64_t> offsets;  ///< by buffer
  uint64_t pool_bytes = 0;
};

/// Bytes that the two buffers of an overlay share at best.
uint64_t OverlaySaving(const Overlay& overlay, uint64_t predecessor_bytes,
                       uint64_t successor_bytes);

/// The best of several greedy orders, refined until it meets `bound_bytes` or stops improving.
/// Deterministic. Requires: each buffer is at most once a predecessor and once a successor;
/// loads: live bytes of each step.
Packing Pack(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
             std::span<const uint64_t> loads, uint64_t bound_bytes);

}  // namespace coracle::plan

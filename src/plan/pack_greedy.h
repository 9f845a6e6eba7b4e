// The quick packer: places buffers one after another, in several orders, then moves single buffers
// within the best order.
#pragma once

#include <cstdint>
#include <span>

#include "plan/pack.h"
#include "plan/pack_sections.h"

namespace coracle::plan {

/// The best of its tries, or the first that needs no more than `enough_bytes`. bound_bytes is the
/// live-load bound. Requires: some buffers; each is at most once a predecessor and once a
/// successor.
Packing PackGreedily(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
                     const Sections& sections, uint64_t enough_bytes);

}  // namespace coracle::plan

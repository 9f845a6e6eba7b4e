// Time as the packer sees it: only the steps whose set of live buffers is no part of a neighbour's.
// Two buffers meet in a section exactly if they meet at a step, so that nothing is lost, and the
// number of sections is at most that of buffers, however many steps there are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/pack.h"

namespace coracle::plan {

/// [begin, end), never empty.
struct SectionRange {
  uint32_t begin = 0;
  uint32_t end = 0;
};

struct Sections {
  std::vector<SectionRange> ranges;  ///< by buffer
  /// By section: the bytes that its buffers need at least, overlays at their best.
  std::vector<uint64_t> loads;

  /// The live-load bound.
  uint64_t HighestLoad() const;
};

Sections SectionsOf(std::span<const Buffer> buffers, std::span<const Overlay> overlays);

/// The sections that both live through; begin >= end where there is none.
SectionRange Intersection(SectionRange a, SectionRange b);

}  // namespace coracle::plan

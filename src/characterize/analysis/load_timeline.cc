#include "characterize/analysis/load_timeline.h"

#include "base/check.h"
#include "characterize/reuse/working_set.h"

namespace coracle::characterize {

void LoadTimeline::Add(uint32_t memories, uint64_t now) {
  // The longest windows stay, however many.
  while (now >> WorkingSet::kShifts[length_] >= WorkingSet::kWindowsMax &&
         length_ + 1 < WorkingSet::kShifts.size()) {
    Coarsen();
  }
  const uint64_t window = now >> WorkingSet::kShifts[length_];
  if (window >= windows_.size()) windows_.resize(window + 1);
  windows_[window].Add(memories);
}

void LoadTimeline::Coarsen() {
  const uint32_t shift = WorkingSet::kShifts[length_ + 1] - WorkingSet::kShifts[length_];
  ++length_;
  std::vector<LoadCounts> longer;
  for (size_t i = 0; i < windows_.size(); ++i) {
    if (i >> shift >= longer.size()) longer.resize((i >> shift) + 1);
    longer[i >> shift].Add(windows_[i]);
  }
  windows_ = std::move(longer);
}

std::vector<uint64_t> LoadTimeline::Windows(size_t memory, uint32_t shift) const {
  CORACLE_CHECK(shift >= WorkingSet::kShifts[length_]);
  const uint32_t by = shift - WorkingSet::kShifts[length_];
  std::vector<uint64_t> loads;
  for (size_t i = 0; i < windows_.size(); ++i) {
    if (i >> by >= loads.size()) loads.resize((i >> by) + 1, 0);
    loads[i >> by] += windows_[i][memory];
  }
  return loads;
}

}  // namespace coracle::characterize

#include "characterize/reuse/working_set.h"

namespace coracle::characterize {

void WorkingSet::Count(uint64_t differ, uint64_t now) {
  for (size_t i = 0; i < kShifts.size() && differ >> kShifts[i] != 0; ++i) {
    if (given_up_[i]) continue;
    const uint64_t window = now >> kShifts[i];
    // The longest windows stay, however many: 2^32 accesses are minutes of tracing.
    if (window >= kWindowsMax && i + 1 < kShifts.size()) {
      given_up_[i] = true;
      pages_[i] = {};
      continue;
    }
    if (window >= pages_[i].size()) pages_[i].resize(window + 1, 0);
    ++pages_[i][window];
  }
}

WorkingSet::Windows WorkingSet::Finest() const {
  size_t i = 0;
  while (given_up_[i]) ++i;
  return {kShifts[i], pages_[i]};
}

}  // namespace coracle::characterize

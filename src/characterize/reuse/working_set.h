// WorkingSet: how many pages a program touches in each window of its time, for windows of several
// lengths (Denning, "The Working Set Model for Program Behavior", CACM 11, 1968). Time is counted
// in accesses. The windows of a length are disjoint: window w is [w, w + 1) * length.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coracle::characterize {

class WorkingSet {
 public:
  /// Windows of 2^shift accesses.
  static constexpr std::array<uint32_t, 6> kShifts = {12, 16, 20, 24, 28, 32};
  /// A length that would have more windows than this is given up.
  static constexpr size_t kWindowsMax = 1024;

  /// A touch at `now` of a page that was touched before at `before` (kNever: never). Times do not
  /// fall.
  static constexpr uint64_t kNever = UINT64_MAX;
  void Touch(uint64_t before, uint64_t now) {
    const uint64_t differ = before ^ now;
    if (differ >> kShifts[0] != 0) Count(differ, now);
  }

  struct Windows {
    uint32_t shift = 0;
    std::vector<uint32_t> pages;  ///< by window; the last may not be over
  };
  /// The finest length that has not been given up.
  Windows Finest() const;

 private:
  void Count(uint64_t differ, uint64_t now);

  std::array<std::vector<uint32_t>, kShifts.size()> pages_;
  std::array<bool, kShifts.size()> given_up_ = {};
};

}  // namespace coracle::characterize

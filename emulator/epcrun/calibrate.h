// `epcrun --calibrate`: what a page swap costs on this machine.
#pragma once

#include "emulator/epcrun/options.h"

namespace coracle::epc {

/// The orders and kinds of touches that are measured, one after the other in each round.
enum class Touches : uint8_t { kReadInOrder, kWriteInOrder, kReadAtRandom, kWriteAtRandom };
inline constexpr uint32_t kTouchesCount = 4;
inline constexpr uint32_t kRounds = 15;

/// Cost of one page in one pass over the memory (that of the median group of touches), in
/// time-stamp-counter ticks.
struct PassCost {
  double ticks = 0;          ///< as the program sees it: fault, handler and return
  double crypto_ticks = 0;   ///< of those
  double mapping_ticks = 0;  ///< of those
};

/// What the inside writes and the outside reads.
struct CalibrationFigures {
  PassCost first_touch;           ///< a zero page, with room
  PassCost first_touch_evicting;  ///< a zero page, and another evicted for it
  PassCost swaps[kRounds][kTouchesCount];
};

/// Runs CalibrateInside under a limit (--size, else 8 MiB) and prints its figures; with --json as
/// an object too. Errors: as RunInside.
Result<int> Calibrate(const Options& options);

/// The part that runs inside: touches twice the limit in several orders and writes
/// CalibrationFigures to `results_fd`.
/// Errors: kUnavailable (Calibrate has not started this).
Result<int> CalibrateInside(int results_fd);

}  // namespace coracle::epc

// Interleaved rounds: on a machine with neighbours only turns taken close together can be compared.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "crew.h"

namespace coracle::bench {

/// A layer as two engines run it.
struct Contest {
  uint64_t multiply_adds = 0;
  std::function<void()> ours;
  std::function<void()> theirs;  ///< may be empty
  double seconds = 0.3;          ///< to spend
};

/// Medians over rounds. A share is multiply-adds a second over the peak that the same threads
/// reached right before and after.
struct ContestResult {
  double seconds = 0;
  double share = 0;
  double their_share = 0;  ///< 0: nobody
  double ratio = 0;        ///< our time over theirs, each in units of its own peak
};

/// Each round: our turn, their turn (in alternating order), the peak sampled between. A turn begins
/// with a pass that is not timed, and repeats short layers. One thread is timed by its CPU time, so
/// that what the machine runs in between does not count; two by the clock on the wall.
ContestResult Hold(const Contest& contest, Crew& crew);

}  // namespace coracle::bench

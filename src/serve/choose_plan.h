// ChoosePlan: which of a model's plans the next convoy runs, given what waits and what is free.
//
// Pure: no state, no clock. It maximises the useful work done per time by the convoy together with
// all that could run beside it: one waiting input and an idle machine get the fastest plan; many
// get convoys, and plans small enough that every core has one.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "serve/served_model.h"

namespace coracle::serve {

/// Where a convoy's runner comes from: started for it, or idle since an earlier one.
enum class RunnerOrigin : uint8_t { kFresh, kWarm };

/// What one model could run.
struct Demand {
  std::span<const PlanChoice> choices;  ///< ascending bytes
  std::span<const uint32_t> warm;       ///< for each choice, runners that idle
  uint32_t waiting = 0;                 ///< requests
  double work_ms = 0;  ///< LeastWorkMs(choices): what a request counts for, whatever plan serves it
};

inline RunnerOrigin OriginOf(const Demand& demand, uint32_t choice) {
  return demand.warm[choice] > 0 ? RunnerOrigin::kWarm : RunnerOrigin::kFresh;
}

/// What is free, runners that idle included.
struct Room {
  uint64_t bytes = 0;
  uint64_t unused_bytes = 0;  ///< of these: those that no runner holds that is about to be used
  uint32_t cores = 0;
  uint32_t convoys = 0;
  double ms_max = std::numeric_limits<double>::infinity();  ///< no convoy may take longer
};

/// Core-milliseconds that one request takes at least.
double LeastWorkMs(std::span<const PlanChoice> choices);

/// Predicted milliseconds of a convoy from now on: a runner that must be started maps and touches
/// its pool first.
double ConvoyMs(const PlanChoice& choice, RunnerOrigin origin);

/// The choice of the first of `ranked`, the others being what waits behind it; none if no choice
/// fits. Among choices within a few per cent of the best: one that is warm, else the smallest.
/// Requires: the first has something waiting.
std::optional<uint32_t> ChoosePlan(std::span<const Demand> ranked, const Room& room);

/// What one of `waiting` requests takes of the scarcest resource of an empty machine, in
/// milliseconds: by this a plan that fits now is compared with a better one that will fit later.
double ScarceMs(const PlanChoice& choice, uint32_t waiting, const Room& whole);

}  // namespace coracle::serve

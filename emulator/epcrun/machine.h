// What epcrun needs of the machine that it runs on.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace coracle::epc {

/// The time-stamp counter, as the pager reads it.
inline uint64_t Ticks() { return __builtin_ia32_rdtsc(); }
/// CLOCK_MONOTONIC.
uint64_t Nanoseconds();

/// Rate of Ticks(): read against CLOCK_MONOTONIC over five milliseconds, to about a thousandth.
uint64_t MeasureTicksPerSecond();

/// Tries userfaultfd and Syscall User Dispatch.
/// Errors: kUnavailable, in one line with what to change.
Status CheckMachine();

}  // namespace coracle::epc

// Which process has a number now: numbers are used again, births are not.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace coracle::epc {

/// The start time of process `pid` in clock ticks since boot (/proc/PID/stat, field 22).
/// 0: there is none, or it has ended.
uint64_t BirthOf(pid_t pid);

}  // namespace coracle::epc

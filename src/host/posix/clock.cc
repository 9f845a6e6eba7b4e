#include "host/posix/clock.h"

#include <ctime>

namespace coracle::host {

uint64_t PosixClock::NowNanoseconds() {
  timespec now{};
  CORACLE_CHECK(::clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace coracle::host

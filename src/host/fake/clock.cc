#include "host/fake/clock.h"

namespace coracle::host {

FakeClock::FakeClock(uint64_t start_ns, uint64_t step_ns) : now_ns_(start_ns), step_ns_(step_ns) {}

uint64_t FakeClock::NowNanoseconds() { return now_ns_.fetch_add(step_ns_); }

void FakeClock::Advance(uint64_t nanoseconds) { now_ns_.fetch_add(nanoseconds); }

}  // namespace coracle::host

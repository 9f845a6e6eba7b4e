// Monotonic time through the vDSO.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// Threads: any.
class PosixClock final : public Clock {
 public:
  uint64_t NowNanoseconds() override;
};

}  // namespace coracle::host

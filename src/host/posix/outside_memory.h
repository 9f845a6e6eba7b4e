// Host memory in a plain process: shared pages under a name of their own, which stand for memory
// that the host shares.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// What /proc/PID/smaps calls the pages: "/memfd:" and this.
inline constexpr char kOutsideMemoryName[] = "coracle-outside";

/// Every page is touched when it is reserved: no page fault while predicting. Threads: any.
class PosixOutsideMemory final : public OutsideMemory {
 public:
  /// 0 bytes give an empty region. Errors: kUnavailable.
  Result<std::unique_ptr<OutsideRegion>> Reserve(uint64_t bytes) override;
};

}  // namespace coracle::host

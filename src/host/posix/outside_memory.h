// Host memory in a plain process: anonymous pages, which stand for memory that the host shares.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// Every page is touched when it is reserved: no page fault while predicting. Threads: any.
class PosixOutsideMemory final : public OutsideMemory {
 public:
  /// 0 bytes give an empty region. Errors: kUnavailable.
  Result<std::unique_ptr<OutsideRegion>> Reserve(uint64_t bytes) override;
};

}  // namespace coracle::host

// Secure memory for tests: poisoned with NaNs, and between two pages that nobody may touch, so that
// a byte read or written outside of it ends the test.
#pragma once

#include "host/fake/memory.h"
#include "host/outside.h"

namespace coracle::host {

/// A region ends less than 64 bytes before its guard page (its begin is aligned to them), and no
/// further behind the other one than its size rounds up to whole pages.
class GuardedMemory final : public Memory {
 public:
  Result<std::unique_ptr<MemoryRegion>> Reserve(uint64_t bytes) override;
  Result<std::unique_ptr<MemoryRegion>> ReserveForProcess(uint64_t bytes) override {
    return memory_.ReserveForProcess(bytes);
  }

 private:
  FakeMemory memory_;
};

}  // namespace coracle::host

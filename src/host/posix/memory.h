// Secure memory from the system: in a TEE, pages of the enclave.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// Every page is touched when it is reserved (no page fault while predicting), left out of core
/// dumps, and zeroed before it is given back. Threads: any.
class PosixMemory final : public Memory {
 public:
  /// Zeroed memory. 0 bytes give an empty region. Errors: kUnavailable.
  Result<std::unique_ptr<MemoryRegion>> Reserve(uint64_t bytes) override;
  /// The same, wiped in the child of a fork (MADV_WIPEONFORK, Linux 4.14) and locked if the limit
  /// on locked memory leaves room. Errors: kUnavailable, also on a system that cannot wipe.
  Result<std::unique_ptr<MemoryRegion>> ReserveForProcess(uint64_t bytes) override;
};

}  // namespace coracle::host

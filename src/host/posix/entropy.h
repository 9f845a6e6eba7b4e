// The kernel's random bytes.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// getrandom(2), which blocks until the kernel has been seeded. Threads: any.
class PosixEntropy final : public Entropy {
 public:
  Status Fill(std::span<std::byte> out) override;
};

}  // namespace coracle::host

// Flush-to-zero: one subnormal weight layer slows a real model 30x, so every worker computes with
// FTZ and DAZ.
#pragma once

#include <cstdint>

namespace coracle::kernels {

/// Sets FTZ and DAZ (x86; FZ on Arm) for this thread, and restores the former mode when destroyed.
class ScopedFlushSubnormals {
 public:
  ScopedFlushSubnormals();
  ~ScopedFlushSubnormals();
  ScopedFlushSubnormals(const ScopedFlushSubnormals&) = delete;
  ScopedFlushSubnormals& operator=(const ScopedFlushSubnormals&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace coracle::kernels

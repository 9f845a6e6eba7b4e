// What this machine can do, measured in some milliseconds: the cost model's rates and bench's
// "machine".
#pragma once

#include "plan/plan.h"

namespace coracle::cmd {

struct MachineRatesReport {
  plan::MachineRates plan;  ///< kernel rate and opening rate of one worker
  double fma_gflops = 0;    ///< one core's peak, 2 flops a multiply-add
  double aead_gbps = 0;     ///< AES-256-GCM opening in cache
  double read_gbps = 0;     ///< memory reads of one core
};

/// Measures each rate for about a millisecond several times and keeps the best.
MachineRatesReport MeasureRates();

}  // namespace coracle::cmd

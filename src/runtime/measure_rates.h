// The cost model's rates (plan/plan.h), measured by running the real kernels, the real AES-GCM
// and the real decoder on a few small layers.
//
// Takes about 10 ms and 6 MiB, which it gives back: measure once, before memory is reserved, and
// keep the result. The rates only choose between plans; nothing computed depends on them. The clock
// is the host's: one that lies makes predictions slow, never wrong.
#pragma once

#include "base/result.h"
#include "host/outside.h"
#include "plan/plan.h"

namespace coracle::runtime {

/// Errors: kUnsupported if this machine runs no AES-GCM.
Result<plan::MachineRates> MeasureRates(host::Clock& clock);

/// How slow this core is just now, beside the time when `rates` were measured: 1 is as fast, 1.5
/// takes half as long again. Machines shared with others change their pace by that much, within
/// milliseconds; who compares predicted with measured times asks before and after. About 0.1 ms.
double MeasurePace(host::Clock& clock, const plan::MachineRates& rates);

/// What one core of the machine can do at most, for reports ("machine" of `coracle bench`).
struct MachinePeaks {
  double fma_gflops = 0;  ///< independent fused multiply-adds, 2 flops each
  double read_gbps = 0;   ///< reading 16 MiB again and again
};
MachinePeaks MeasurePeaks(host::Clock& clock);

}  // namespace coracle::runtime

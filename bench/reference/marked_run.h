#pragma once

#include <cstdint>
#include <functional>

namespace coracle::reference {

/// Runs once on a prepared input; returns the milliseconds of the prediction alone.
using RunOnce = std::function<double()>;

/// Runs once, and marks for epcrun and for `coracle characterize` where that begins (label
/// 2 * `prediction`) and ends (one more), as `coracle run` does: docs/epcrun.md. Returns what
/// `run_once_ms` does.
double RunMarked(uint64_t prediction, const RunOnce& run_once_ms);

/// `count` predictions, one after the other, marked from 0 on. Returns the milliseconds of the
/// last. Requires: count >= 1.
double RunRepeatedly(uint64_t count, const RunOnce& run_once_ms);

/// Most predictions of one run: epcrun keeps 4096 marks.
inline constexpr uint64_t kRepeatMax = 2048;

}  // namespace coracle::reference

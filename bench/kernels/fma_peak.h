// The machine's multiply-add rate at this moment: what a kernel's time is divided by.
#pragma once

namespace coracle::bench {

/// Multiply-adds a second of one core, vectors as wide as Highway's best target; measured over some
/// 20 microseconds.
double MeasureFmaPeak();

}  // namespace coracle::bench

// The machine's multiply-add rate at this moment: what a kernel's time is divided by.
#pragma once

namespace coracle::bench {

/// Runs independent multiply-add chains for some 20 microseconds, vectors as wide as Highway's best
/// enabled target; returns the multiply-adds done.
double RunFmaChains();

}  // namespace coracle::bench

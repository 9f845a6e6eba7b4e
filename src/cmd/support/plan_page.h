// A plan as one HTML page that opens offline: what `coracle plan --report` writes.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// The page for the object that `coracle plan --json` prints, with its `buffers` and, for the
/// curve, its `sweep`. It holds its own script, style and charting library, asks for nothing, and
/// its Content-Security-Policy lets it run and load nothing else: names in a plan come from a model
/// and may be hostile. About 1.2 MB. When all is drawn, the attributes of <html> tell:
/// data-drawn="yes", data-rectangles and data-curve-points (drawn), data-step-rows, data-errors.
std::string PlanPage(const Json& plan);

}  // namespace coracle::cmd

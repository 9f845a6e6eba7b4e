// A plan as one HTML page that opens offline: what `coracle plan --report` writes.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// The page (cmd/support/html_page.h) for the object that `coracle plan --json` prints, with its
/// `buffers` and, for the curve, its `sweep`. The attributes of <html> tell, beside what those of
/// all pages do: data-rectangles and data-curve-points (drawn), data-step-rows.
std::string PlanPage(const Json& plan);

}  // namespace coracle::cmd

// What a traced prediction did layer by layer, for people.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// `report`: what `coracle characterize M.sealed --json` prints: "plan", "layers". The plan, then a
/// table of accesses and page loads by layer, and one of bytes by layer and kind of data. What
/// belongs to no layer (feeding, what lies between) is the last row of each.
std::string LayersText(const Json& report);

}  // namespace coracle::cmd

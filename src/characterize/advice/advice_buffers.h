// Advice on single buffers: what was allocated, how it was used, and what that cost.
#pragma once

#include <vector>

#include "characterize/advice/advice.h"

namespace coracle::characterize {

/// What to do about findings.objects: those that are used alike by the same functions (or have the
/// same role) together, the costliest first, at most kBuffersAdvised. Nothing where no allocation
/// was followed.
std::vector<Advice> AdviseBuffers(const Json& findings);
inline constexpr size_t kBuffersAdvised = 6;

}  // namespace coracle::characterize

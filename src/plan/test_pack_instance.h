// Instances of the packing problem in minimalloc's format, and a check of packings that shares no
// code with the packer. For tests and bench.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/pack.h"

namespace coracle::plan {

/// Lines `id,lower,upper,size` after a header that says so; a buffer lives in [lower, upper), and
/// its size is rounded up to kPoolAlignment. Errors: kMalformed, naming the line.
Result<std::vector<Buffer>> ParsePackInstance(std::string_view csv);

/// Empty if the packing is valid, else what is wrong first.
std::string CheckPacking(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
                         const Packing& packing);

}  // namespace coracle::plan

// Sizes as people write them: "8MiB", "512 KiB", "unlimited".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace coracle {

/// Parses "123", "64KiB", "8MiB", "1.5GiB" (also with a space, also B).
/// Errors: kInvalidArgument with the accepted forms.
Result<uint64_t> ParseBytes(std::string_view text);

/// "3.2 MiB", "64 KiB", "17 B": at most three significant digits.
std::string FormatBytes(uint64_t bytes);

}  // namespace coracle

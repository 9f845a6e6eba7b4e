// Small files at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::host {

/// The whole file (a pipe too), at most `limit` bytes of it. The caller wipes what is secret.
/// Errors: kNotFound, kPermissionDenied, kInvalidArgument (a directory, empty, or longer than
/// `limit`), kUnavailable.
Result<std::vector<std::byte>> ReadWholeFile(const std::string& path, uint64_t limit);

}  // namespace coracle::host

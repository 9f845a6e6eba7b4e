// Anonymous pages, as Memory and OutsideMemory use them.
#pragma once

#include <span>

#include "base/result.h"

namespace coracle::host {

/// Zeroed private pages, each of them touched, so that none faults later. Requires: bytes > 0.
/// Errors: kUnavailable, saying of what memory (`what`: "secure memory").
Result<std::span<std::byte>> MapPages(uint64_t bytes, std::string_view what);
/// Requires: from MapPages.
void UnmapPages(std::span<std::byte> pages);

}  // namespace coracle::host

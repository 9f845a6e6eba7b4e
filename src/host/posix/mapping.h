// Pages, as Memory and OutsideMemory use them.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace coracle::host {

/// Zeroed private pages, each of them touched, so that none faults later. Requires: bytes > 0.
/// Errors: kUnavailable, saying of what memory (`what`: "secure memory").
Result<std::span<std::byte>> MapPages(uint64_t bytes, std::string_view what);
/// The same of memory that the process shares under a name (/memfd:`name` in /proc), so that who
/// looks from outside can tell it from the process's own. Where the system has no such memory,
/// pages of its own. Requires: bytes > 0. Errors: kUnavailable.
Result<std::span<std::byte>> MapSharedPages(uint64_t bytes, const char* name,
                                            std::string_view what);
/// Requires: from one of these.
void UnmapPages(std::span<std::byte> pages);

}  // namespace coracle::host

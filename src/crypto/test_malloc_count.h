// Counts heap allocations of the test program it is linked into.
#pragma once

#include <cstdint>

namespace coracle::crypto {

/// Calls of malloc, calloc, realloc, aligned_alloc and posix_memalign so far, by anybody in the
/// process. Always 0 under a sanitizer, which has an allocator of its own: MallocIsCounted() tells.
uint64_t MallocCount();
bool MallocIsCounted();

}  // namespace coracle::crypto

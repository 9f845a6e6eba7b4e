// The least secure memory that a program is given.
#pragma once

#include <cstdint>

namespace coracle::epc {

/// Least limit that is accepted. Below it there is no room for what cannot be evicted at all: a
/// program's and its libraries' writable data, the buffers that threads hold in system calls, and
/// the pages that one instruction needs at once.
inline constexpr uint64_t kLimitBytesMin = uint64_t{1} << 20;

}  // namespace coracle::epc

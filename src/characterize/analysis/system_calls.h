// The system calls of x86-64 Linux by name.
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::characterize {

/// "mmap"; empty for a number that has no call.
std::string_view SystemCallName(int64_t number);

}  // namespace coracle::characterize

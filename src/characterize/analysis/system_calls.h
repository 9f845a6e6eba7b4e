// The system calls of x86-64 Linux by name.
#pragma once

#include <cstdint>
#include <string>

namespace coracle::characterize {

/// "mmap"; "number 999" for a number that has no call.
std::string SystemCallName(int64_t number);

}  // namespace coracle::characterize

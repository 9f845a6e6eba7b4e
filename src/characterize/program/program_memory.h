// Reading the memory of a traced program, whose addresses are the tracer's own: a copy, so that
// the program cannot change what was checked, and addresses that are not there are no harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coracle::characterize {

/// How many of the `bytes` at `address` could be read.
size_t CopyFromProgram(uint64_t address, void* to, size_t bytes);

/// The text at `address`, up to its 0, to what is there or to `bytes_max`. Of address 0: none.
std::string TextFromProgram(uint64_t address, size_t bytes_max);

}  // namespace coracle::characterize

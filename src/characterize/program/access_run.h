// AccessRun: consecutive accesses of one thread to one line, as the tracer hands them on.
//
// Merging them loses nothing that a reuse distance depends on: all but the first have distance 0.
#pragma once

#include <cstdint>

#include "characterize/program/trace_names.h"

namespace coracle::characterize {

/// What traces are recorded in; coarser granules are made of these. (A cache line of x86-64.)
inline constexpr uint32_t kLineShift = 6;
inline constexpr uint32_t kLineBytes = 1u << kLineShift;
inline constexpr uint32_t kPageShift = 12;
inline constexpr uint32_t kPageBytes = 1u << kPageShift;
inline constexpr uint32_t kLinesPerPage = kPageBytes / kLineBytes;

struct AccessRun {
  uint64_t line = 0;  ///< address / kLineBytes
  uint16_t reads = 0;
  uint16_t writes = 0;
  uint16_t read_bytes = 0;
  uint16_t written_bytes = 0;
  FunctionIndex function{};  ///< of the first of them
};

}  // namespace coracle::characterize

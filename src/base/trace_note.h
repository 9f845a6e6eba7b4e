// What a program tells `coracle characterize` while it is traced: a call of prctl that the kernel
// refuses and the tracer reads. Untraced programs lose a microsecond with it, and nothing else.
#pragma once

#include <cstdint>

namespace coracle {

/// prctl(kTraceNoteCall, TraceNote, a, b, c). Addresses are the program's own.
inline constexpr int kTraceNoteCall = 0x43544e54;  // "CTNT"

enum class TraceNote : uint64_t {
  kAllocated = 1,  ///< a: address, b: bytes. Of blocks of at least kTraceAllocationBytesLeast
  kFreed = 2,      ///< a: address of such a block
  kSmall = 3,      ///< a: address of a TraceSmallAllocations that lives as long as the program
  kRegions = 4,  ///< a: address of an array of TraceRegion, b: their number: takes the place of all
                 ///< regions before
  kLayer = 5,    ///< a: address of a name (bytes and 0), or 0: what follows belongs to no layer
  kNamed = 6,    ///< a: address of a function that its file has no symbol for, b: of its name
};

/// Smaller blocks share pages with others; they are counted by size alone.
inline constexpr uint64_t kTraceAllocationBytesLeast = 4096;

/// Blocks allocated so far, by size: at most 16, 64, 256, 1024, and less than
/// kTraceAllocationBytesLeast bytes.
struct TraceSmallAllocations {
  uint64_t count[5] = {};
  uint64_t bytes[5] = {};
};

enum class TraceRegionKind : uint64_t { kWeights = 1, kActivations = 2, kWorkspace = 3 };

/// What lies at [begin, begin + bytes) until the next kRegions.
struct TraceRegion {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  TraceRegionKind kind = TraceRegionKind::kActivations;
  const char* name = nullptr;  ///< read while the call is made; may be null
};

}  // namespace coracle

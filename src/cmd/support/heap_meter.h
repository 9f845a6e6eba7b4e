// Counts what the process takes from the heap: malloc and friends are replaced in every program
// that links this.
#pragma once

#include <cstdint>
#include <optional>

namespace coracle::cmd {

/// Bytes by which the heap grew past its size at construction, at most, until PeakBytes is called.
class HeapMeter {
 public:
  HeapMeter();
  /// Nothing where a sanitizer owns malloc. Any allocation counts, also one that is freed at once.
  std::optional<uint64_t> PeakBytes() const;
};

}  // namespace coracle::cmd

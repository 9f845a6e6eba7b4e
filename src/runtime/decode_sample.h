// A coded chunk to measure decoding with, made without a coder, which no enclave has: a code whose
// 128 symbols have seven bits each decodes any bits at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/chunk.h"

namespace coracle::runtime {

/// Allocates when it is made only.
class DecodeSample {
 public:
  static constexpr uint32_t kBytes = 64 * 1024;  ///< plain

  DecodeSample();
  /// Decodes the sample, as if its text had just been opened. True, or the library is broken.
  bool Decode();

 private:
  struct alignas(graph::kChunkAlignment) Line {
    std::byte bytes[graph::kChunkAlignment];
  };
  std::span<std::byte> memory() { return std::as_writable_bytes(std::span(lines_)); }

  std::vector<Line> lines_;  ///< the plain text, then room to decode in
  uint32_t coded_bytes_ = 0;
};

}  // namespace coracle::runtime

// Memory of the pager's own: mappings that are never registered, charged or evicted.
#pragma once

#include <cstdint>

#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {

/// Zeroed pages, not committed before they are touched. Null if the kernel refuses.
void* MapOwn(uint64_t bytes);
void UnmapOwn(void* memory, uint64_t bytes);

/// Hands out zeroed pieces that live as long as it does. Threads: under the pager's lock.
class OwnMemory {
 public:
  /// Requires: bytes <= kChunkBytes / 2; alignment is a power of two up to a page. Null if the
  /// kernel refuses.
  void* Take(uint64_t bytes, uint64_t alignment);
  uint64_t taken_bytes() const { return taken_bytes_; }
  void FreeAll();

 private:
  static constexpr uint64_t kChunkBytes = uint64_t{2} << 20;
  struct Chunk {
    Chunk* next;
  };
  Chunk* chunk_ = nullptr;
  uint64_t used_bytes_ = kChunkBytes;
  uint64_t taken_bytes_ = 0;
};

}  // namespace coracle::epc

#include "emulator/pager/own_memory.h"

#include <sys/mman.h>

namespace coracle::epc {

void* MapOwn(uint64_t bytes) {
  const long address = RawCall(SYS_mmap, 0, AsLong(bytes), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return IsError(address) ? nullptr : reinterpret_cast<void*>(address);
}

void UnmapOwn(void* memory, uint64_t bytes) { RawCall(SYS_munmap, AsLong(memory), AsLong(bytes)); }

void* OwnMemory::Take(uint64_t bytes, uint64_t alignment) {
  uint64_t begin = (used_bytes_ + alignment - 1) & ~(alignment - 1);
  if (begin + bytes > kChunkBytes) {
    auto* chunk = static_cast<Chunk*>(MapOwn(kChunkBytes));
    if (chunk == nullptr) return nullptr;
    chunk->next = chunk_;
    chunk_ = chunk;
    begin = (sizeof(Chunk) + alignment - 1) & ~(alignment - 1);
  }
  used_bytes_ = begin + bytes;
  taken_bytes_ += bytes;
  return reinterpret_cast<std::byte*>(chunk_) + begin;
}

void OwnMemory::FreeAll() {
  while (chunk_ != nullptr) {
    Chunk* next = chunk_->next;
    UnmapOwn(chunk_, kChunkBytes);
    chunk_ = next;
  }
  used_bytes_ = kChunkBytes;
  taken_bytes_ = 0;
}

}  // namespace coracle::epc

// libcoracle_allocations.so: preloaded into a program that is traced, it tells the tracer of the
// memory that the program allocates (base/trace_note.h), and leaves the allocating to whatever
// allocator the program has.
//
// operator new and the C library's own functions come through malloc as well. It runs inside of
// any program, before anything else of it: it allocates nothing, locks nothing and depends on the C
// library alone. The tracer counts neither its instructions nor its calls of the kernel.
// Not told: a block that realloc could not enlarge (it lives on, but as if it were freed).
#include <dlfcn.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/trace_note.h"
#include "characterize/allocations/block_table.h"

namespace coracle::characterize {
namespace {

/// The functions that would have been called without us: of the library that is next in order.
struct Allocator {
  void* (*malloc)(size_t) = nullptr;
  void* (*calloc)(size_t, size_t) = nullptr;
  void* (*realloc)(void*, size_t) = nullptr;
  void (*free)(void*) = nullptr;
  int (*posix_memalign)(void**, size_t, size_t) = nullptr;
  void* (*aligned_alloc)(size_t, size_t) = nullptr;
  void* (*memalign)(size_t, size_t) = nullptr;
  void* (*valloc)(size_t) = nullptr;
  void* (*pvalloc)(size_t) = nullptr;
};

// The program's allocator is one for all of the program, and so is this.
Allocator next;
BlockTable blocks;
TraceSmallAllocations small;
bool resolved = false;
bool resolving = false;

/// What is asked for while dlsym looks for `next`: by dlsym itself, before the program has threads.
struct EarlyMemory {
  static constexpr size_t kBytes = 4096;
  alignas(16) char bytes[kBytes];
  size_t used = 0;

  void* Allocate(size_t wanted) {
    const size_t rounded = (wanted + 15) / 16 * 16;
    if (wanted > kBytes || rounded > kBytes - used) return nullptr;
    used += rounded;
    return bytes + used - rounded;
  }
  bool Holds(const void* block) const { return block >= bytes && block < bytes + kBytes; }
};
EarlyMemory early;

/// prctl(kTraceNoteCall, note, a, b): not the C library's, which sets errno.
void Tell(TraceNote note, uint64_t a, uint64_t b) {
  uint64_t result = SYS_prctl;
  register uint64_t third asm("r10") = b;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(uint64_t{kTraceNoteCall}), "S"(note), "d"(a), "r"(third)
               : "rcx", "r11", "memory");
}

uint64_t AddressOf(const void* block) { return reinterpret_cast<uintptr_t>(block); }

template <typename Function>
void Resolve(Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// False: dlsym is at it.
bool HasNext() {
  if (__atomic_load_n(&resolved, __ATOMIC_ACQUIRE)) return true;
  if (resolving) return false;
  resolving = true;
  Resolve(next.malloc, "malloc");
  Resolve(next.calloc, "calloc");
  Resolve(next.realloc, "realloc");
  Resolve(next.free, "free");
  Resolve(next.posix_memalign, "posix_memalign");
  Resolve(next.aligned_alloc, "aligned_alloc");
  Resolve(next.memalign, "memalign");
  Resolve(next.valloc, "valloc");
  Resolve(next.pvalloc, "pvalloc");
  __atomic_store_n(&resolved, true, __ATOMIC_RELEASE);
  Tell(TraceNote::kSmall, AddressOf(&small), 0);
  return true;
}

/// Functions of which the C library has several, for different machines, and exports none: it is
/// asked which one it took.
constexpr const char* kChosenFunctions[] = {"memmove", "memcpy",  "memset", "memcmp", "memchr",
                                            "strlen",  "strnlen", "strcmp", "strchr"};

__attribute__((constructor)) void Announce() {
  HasNext();
  for (const char* const name : kChosenFunctions) {
    const void* const function = dlsym(RTLD_DEFAULT, name);
    if (function != nullptr) Tell(TraceNote::kNamed, AddressOf(function), AddressOf(name));
  }
}

void CountSmall(size_t bytes) {
  const size_t size = bytes <= 16 ? 0 : bytes <= 64 ? 1 : bytes <= 256 ? 2 : bytes <= 1024 ? 3 : 4;
  __atomic_fetch_add(&small.count[size], 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&small.bytes[size], bytes, __ATOMIC_RELAXED);
}

void* Allocated(void* block, size_t bytes) {
  if (block == nullptr) return block;
  if (bytes < kTraceAllocationBytesLeast) {
    CountSmall(bytes);
    return block;
  }
  blocks.Put(AddressOf(block));
  Tell(TraceNote::kAllocated, AddressOf(block), bytes);
  return block;
}

/// Before it is: afterwards another thread may have it.
void Freed(const void* block) {
  if (block != nullptr && blocks.Take(AddressOf(block))) {
    Tell(TraceNote::kFreed, AddressOf(block), 0);
  }
}

template <typename... Arguments>
void* Call(void* (*function)(Arguments...), size_t bytes, Arguments... arguments) {
  if (function != nullptr) return Allocated(function(arguments...), bytes);
  errno = ENOMEM;
  return nullptr;
}

void* Reallocate(void* block, size_t bytes) {
  if (!HasNext()) return early.Allocate(bytes);
  if (early.Holds(block)) {
    // Its size is not known; it was asked for by dlsym, and lies within `early`.
    auto* const moved = static_cast<char*>(Call(next.malloc, bytes, bytes));
    const auto* const from = static_cast<const char*>(block);
    for (size_t i = 0; moved != nullptr && i < bytes && early.Holds(from + i); ++i) {
      moved[i] = from[i];
    }
    return moved;
  }
  Freed(block);
  return Call(next.realloc, bytes, block, bytes);
}

}  // namespace
}  // namespace coracle::characterize

namespace here = coracle::characterize;

extern "C" {

#define CORACLE_EXPORT __attribute__((visibility("default")))

CORACLE_EXPORT void* malloc(size_t bytes) noexcept {
  if (!here::HasNext()) return here::early.Allocate(bytes);
  return here::Call(here::next.malloc, bytes, bytes);
}

CORACLE_EXPORT void* calloc(size_t count, size_t size) noexcept {
  size_t bytes = 0;
  // Too much is for the allocator to refuse; its own memory is zero until it is first used.
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = 0;
  if (!here::HasNext()) return here::early.Allocate(bytes);
  return here::Call(here::next.calloc, bytes, count, size);
}

CORACLE_EXPORT void* realloc(void* block, size_t bytes) noexcept {
  return here::Reallocate(block, bytes);
}

CORACLE_EXPORT void* reallocarray(void* block, size_t count, size_t size) noexcept {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  return here::Reallocate(block, bytes);
}

CORACLE_EXPORT void free(void* block) noexcept {
  if (here::early.Holds(block) || !here::HasNext()) return;
  here::Freed(block);
  if (here::next.free != nullptr) here::next.free(block);
}

CORACLE_EXPORT int posix_memalign(void** block, size_t alignment, size_t bytes) noexcept {
  if (!here::HasNext() || here::next.posix_memalign == nullptr) return ENOMEM;
  const int error = here::next.posix_memalign(block, alignment, bytes);
  if (error == 0) here::Allocated(*block, bytes);
  return error;
}

CORACLE_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  if (!here::HasNext()) return nullptr;
  return here::Call(here::next.aligned_alloc, bytes, alignment, bytes);
}

CORACLE_EXPORT void* memalign(size_t alignment, size_t bytes) noexcept {
  if (!here::HasNext()) return nullptr;
  return here::Call(here::next.memalign, bytes, alignment, bytes);
}

CORACLE_EXPORT void* valloc(size_t bytes) noexcept {
  if (!here::HasNext()) return nullptr;
  return here::Call(here::next.valloc, bytes, bytes);
}

CORACLE_EXPORT void* pvalloc(size_t bytes) noexcept {
  if (!here::HasNext()) return nullptr;
  return here::Call(here::next.pvalloc, bytes, bytes);
}

}  // extern "C"

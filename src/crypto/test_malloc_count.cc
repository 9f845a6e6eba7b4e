#include "crypto/test_malloc_count.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CORACLE_OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define CORACLE_OWN_MALLOC 0
#endif
#endif
#ifndef CORACLE_OWN_MALLOC
#define CORACLE_OWN_MALLOC 1
#endif

namespace {
std::atomic<uint64_t> allocations{0};  // the C library's functions below have no other place
}  // namespace

#if CORACLE_OWN_MALLOC
extern "C" {
void* __libc_malloc(size_t);            // NOLINT: glibc's own names
void* __libc_calloc(size_t, size_t);    // NOLINT
void* __libc_realloc(void*, size_t);    // NOLINT
void* __libc_memalign(size_t, size_t);  // NOLINT

void* malloc(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
}  // extern "C"
#endif

namespace coracle::crypto {

uint64_t MallocCount() { return allocations.load(std::memory_order_relaxed); }
bool MallocIsCounted() { return CORACLE_OWN_MALLOC == 1; }

}  // namespace coracle::crypto

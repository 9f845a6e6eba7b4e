#include "cmd/support/heap_meter.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define CORACLE_HEAP_METER 0
#else
#define CORACLE_HEAP_METER 1
#endif

namespace coracle::cmd {
namespace {

// malloc is one function of the whole process, so what counts it is process-wide too.
std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

[[maybe_unused]] void Count(int64_t bytes) {
  const int64_t live = live_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
}

}  // namespace

HeapMeter::HeapMeter() {
  live_bytes.store(0, std::memory_order_relaxed);
  peak_bytes.store(0, std::memory_order_relaxed);
}

std::optional<uint64_t> HeapMeter::PeakBytes() const {
  if (CORACLE_HEAP_METER == 0) return std::nullopt;
  return static_cast<uint64_t>(peak_bytes.load(std::memory_order_relaxed));
}

}  // namespace coracle::cmd

#if CORACLE_HEAP_METER
extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* old, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

static void* Counted(void* block) {
  if (block != nullptr) coracle::cmd::Count(static_cast<int64_t>(malloc_usable_size(block)));
  return block;
}

static void Uncount(void* block) {
  if (block != nullptr) coracle::cmd::Count(-static_cast<int64_t>(malloc_usable_size(block)));
}

void* malloc(size_t bytes) { return Counted(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) { return Counted(__libc_calloc(count, bytes)); }

void* realloc(void* old, size_t bytes) {
  Uncount(old);
  void* const block = __libc_realloc(old, bytes);
  if (block == nullptr && bytes != 0) Counted(old);
  return Counted(block);
}

void free(void* block) {
  Uncount(block);
  __libc_free(block);
}

void* memalign(size_t alignment, size_t bytes) {
  return Counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return Counted(__libc_memalign(alignment, bytes));
}

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  void* const block = Counted(__libc_memalign(alignment, bytes));
  if (block == nullptr) return ENOMEM;
  *out = block;
  return 0;
}

}  // extern "C"
#endif

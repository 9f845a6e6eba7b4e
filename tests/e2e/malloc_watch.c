// Preloaded under `coracle run --repeat N --input x.raw`: what the process asks the system for
// while it predicts. That begins when a feeding ends, with the .raw file closed, and ends with the
// mark that `coracle run` sets for epcrun (prctl, an odd label). The program's own malloc counts
// and calls __libc_malloc, so that is what this file stands in for. Writes one JSON object to
// $MALLOC_WATCH_REPORT.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum Feeding { kNever, kFeeding, kPredicting };
static atomic_int state = kNever;
static atomic_int feeding_fd = -1;
static atomic_long allocations, calls, all_allocations;
static long predictions, with_allocations, most_allocations, with_calls;

static void* Next(const char* name) { return dlsym(RTLD_NEXT, name); }

static void CountAllocation(void) {
  atomic_fetch_add(&all_allocations, 1);
  if (atomic_load(&state) == kPredicting) atomic_fetch_add(&allocations, 1);
}

static void CountCall(void) {
  if (atomic_load(&state) == kPredicting) atomic_fetch_add(&calls, 1);
}

static void EndPrediction(void) {
  if (atomic_load(&state) != kPredicting) return;
  const long count = atomic_exchange(&allocations, 0);
  ++predictions;
  with_allocations += count > 0;
  with_calls += atomic_exchange(&calls, 0) > 0;
  if (count > most_allocations) most_allocations = count;
}

// dlsym itself may allocate: the addresses are found once, before anybody else runs.
static void* (*next_malloc)(size_t), *(*next_calloc)(size_t, size_t),
    *(*next_realloc)(void*, size_t);
static void* (*next_memalign)(size_t, size_t);
static int (*next_open)(const char*, int, ...), (*next_close)(int);
static void* (*next_mmap)(void*, size_t, int, int, int, off_t);
static ssize_t (*next_pread)(int, void*, size_t, off_t);
static int (*next_prctl)(int, ...);

static __attribute__((constructor)) void FindNext(void) {
  next_malloc = Next("__libc_malloc");
  next_calloc = Next("__libc_calloc");
  next_realloc = Next("__libc_realloc");
  next_memalign = Next("__libc_memalign");
  next_open = Next("open");
  next_close = Next("close");
  next_mmap = Next("mmap");
  next_pread = Next("pread");
  next_prctl = Next("prctl");
}

#define RESOLVE(function, name) \
  if (function == NULL) function = Next(name)

void* __libc_malloc(size_t bytes) {
  RESOLVE(next_malloc, "__libc_malloc");
  CountAllocation();
  return next_malloc(bytes);
}
void* __libc_calloc(size_t count, size_t bytes) {
  RESOLVE(next_calloc, "__libc_calloc");
  CountAllocation();
  return next_calloc(count, bytes);
}
void* __libc_realloc(void* old, size_t bytes) {
  RESOLVE(next_realloc, "__libc_realloc");
  CountAllocation();
  return next_realloc(old, bytes);
}
void* __libc_memalign(size_t alignment, size_t bytes) {
  RESOLVE(next_memalign, "__libc_memalign");
  CountAllocation();
  return next_memalign(alignment, bytes);
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = (flags & O_CREAT) ? va_arg(more, int) : 0;
  va_end(more);
  RESOLVE(next_open, "open");
  const size_t length = strlen(path);
  const int feeding = length > 4 && strcmp(path + length - 4, ".raw") == 0;
  const int fd = next_open(path, flags, mode);
  if (feeding) {
    atomic_store(&feeding_fd, fd);
    atomic_store(&state, kFeeding);
  } else {
    CountCall();
  }
  return fd;
}

int close(int fd) {
  RESOLVE(next_close, "close");
  const int result = next_close(fd);
  if (fd == atomic_load(&feeding_fd)) {
    atomic_store(&feeding_fd, -1);
    atomic_store(&state, kPredicting);
  }
  return result;
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  RESOLVE(next_mmap, "mmap");
  CountCall();
  return next_mmap(address, bytes, protection, flags, fd, offset);
}

ssize_t pread(int fd, void* to, size_t bytes, off_t offset) {
  RESOLVE(next_pread, "pread");
  CountCall();
  return next_pread(fd, to, bytes, offset);
}

int prctl(int option, ...) {
  va_list more;
  va_start(more, option);
  unsigned long rest[4];
  for (int i = 0; i < 4; ++i) rest[i] = va_arg(more, unsigned long);
  va_end(more);
  RESOLVE(next_prctl, "prctl");
  if (option != 0x45504352) {
    CountCall();
  } else if (rest[0] % 2 == 1) {
    EndPrediction();
    atomic_store(&state, kNever);
  }
  return next_prctl(option, rest[0], rest[1], rest[2], rest[3]);
}

static __attribute__((destructor)) void Report(void) {
  const char* const path = getenv("MALLOC_WATCH_REPORT");
  if (path == NULL) return;
  atomic_store(&state, kNever);
  FILE* const file = fopen(path, "w");
  if (file == NULL) return;
  fprintf(file,
          "{\"predictions\": %ld, \"with_allocations\": %ld, \"most_allocations\": %ld, "
          "\"with_calls\": %ld, "
          "\"all_allocations\": %ld}\n",
          predictions, with_allocations, most_allocations, with_calls,
          atomic_load(&all_allocations));
  fclose(file);
}

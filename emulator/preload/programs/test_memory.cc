// Memory as programs map, move, protect and give it back, and stacks that grow deep.

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/epc_mark.h"
#include "emulator/preload/programs/test_check.h"

namespace {

constexpr size_t kMiB = 1 << 20;

unsigned char* MapAnonymous(size_t bytes) {
  void* const mapped =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  PROGRAM_CHECK(mapped != MAP_FAILED);
  return static_cast<unsigned char*>(mapped);
}

void Moved() {
  unsigned char* bytes = MapAnonymous(12 * kMiB);
  FillPattern(bytes, 12 * kMiB, 1);
  bytes = static_cast<unsigned char*>(mremap(bytes, 12 * kMiB, 40 * kMiB, MREMAP_MAYMOVE));
  PROGRAM_CHECK(bytes != MAP_FAILED && HasPattern(bytes, 12 * kMiB, 1));
  FillPattern(bytes, 40 * kMiB, 2);
  PROGRAM_CHECK(madvise(bytes, 4 * kMiB, MADV_DONTNEED) == 0);
  for (size_t i = 0; i < 4 * kMiB; ++i) PROGRAM_CHECK(bytes[i] == 0);
  FillPattern(bytes, 4 * kMiB, 2);
  PROGRAM_CHECK(mprotect(bytes, 40 * kMiB, PROT_READ) == 0);
  PROGRAM_CHECK(HasPattern(bytes, 40 * kMiB, 2));
  PROGRAM_CHECK(munmap(bytes, 40 * kMiB) == 0);
}

void Break() {
  auto* const begin = static_cast<unsigned char*>(sbrk(0));
  PROGRAM_CHECK(sbrk(20 * kMiB) == begin);
  FillPattern(begin, 20 * kMiB, 3);
  sbrk(-static_cast<intptr_t>(10 * kMiB));
  PROGRAM_CHECK(HasPattern(begin, 10 * kMiB, 3));
  PROGRAM_CHECK(sbrk(10 * kMiB) == begin + 10 * kMiB);
  for (size_t i = 10 * kMiB; i < 20 * kMiB; ++i) PROGRAM_CHECK(begin[i] == 0);
}

void Reallocated() {
  unsigned char* bytes = nullptr;
  for (size_t count = 1; count < 30 * kMiB; count *= 3) {
    bytes = static_cast<unsigned char*>(std::realloc(bytes, count));
    PROGRAM_CHECK(HasPattern(bytes, count / 3, 4));
    FillPattern(bytes, count, 4);
  }
  std::free(bytes);
  void* aligned = nullptr;
  PROGRAM_CHECK(posix_memalign(&aligned, 2 * kMiB, 20 * kMiB) == 0);
  std::memset(aligned, 5, 20 * kMiB);
  std::free(aligned);
}

/// Uses 4 KiB of stack a level and checks them on the way back.
[[gnu::noinline]] bool Descend(unsigned level) {  // NOLINT(misc-no-recursion)
  unsigned char local[4096];
  FillPattern(local, sizeof local, level);
  asm volatile("" : : "r"(local) : "memory");
  const bool below = level == 0 || Descend(level - 1);
  return below && HasPattern(local, sizeof local, level);
}

}  // namespace

int main() {
  prctl(coracle::kEpcMarkCall, 1);
  Moved();
  Break();
  Reallocated();
  constexpr unsigned kLevels = 1800;  // of the 8 MiB that a stack has
  PROGRAM_CHECK(Descend(kLevels));
  std::thread deep([] { PROGRAM_CHECK(Descend(kLevels)); });
  deep.join();
  prctl(coracle::kEpcMarkCall, 2);
  return 0;
}

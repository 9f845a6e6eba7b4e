#include "kernels/fp_mode.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace coracle::kernels {
namespace {

#if defined(__x86_64__)
constexpr uint64_t kFlushBits = 0x8040;  // FTZ (bit 15) and DAZ (bit 6)
uint64_t ReadMode() { return _mm_getcsr(); }
void WriteMode(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
constexpr uint64_t kFlushBits = uint64_t{1} << 24;  // FPCR.FZ
uint64_t ReadMode() {
  uint64_t mode = 0;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void WriteMode(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
constexpr uint64_t kFlushBits = 0;
uint64_t ReadMode() { return 0; }
void WriteMode(uint64_t /*mode*/) {}
#endif

}  // namespace

ScopedFlushSubnormals::ScopedFlushSubnormals() : saved_(ReadMode()) {
  WriteMode(saved_ | kFlushBits);
}
ScopedFlushSubnormals::~ScopedFlushSubnormals() { WriteMode(saved_); }

}  // namespace coracle::kernels

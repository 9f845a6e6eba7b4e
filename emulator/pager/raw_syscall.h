// System calls without libc: inline instructions, negative errno as results.
//
// In the preload library every other system call instruction of the process is caught (Syscall User
// Dispatch), its own text excepted; and libc's wrappers are not safe in signal handlers of a
// program that may be anywhere. So the pager asks the kernel by itself.
#pragma once

#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace coracle::epc {

/// The kernel's answer; -4095..-1 is a negative errno.
[[gnu::always_inline]] inline long RawCall(long number, long a = 0, long b = 0, long c = 0,
                                           long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

[[gnu::always_inline]] inline bool IsError(long result) { return result < 0 && result >= -4095; }

[[gnu::always_inline]] inline long AsLong(uint64_t value) { return static_cast<long>(value); }
[[gnu::always_inline]] inline long AsLong(const void* pointer) {
  return reinterpret_cast<long>(pointer);
}

/// The time-stamp counter, not ordered against other instructions: tens of cycles do not matter.
[[gnu::always_inline]] inline uint64_t Ticks() { return __builtin_ia32_rdtsc(); }

}  // namespace coracle::epc

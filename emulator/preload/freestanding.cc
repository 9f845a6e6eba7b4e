// What the compiler, the C++ library and crypto/ ask of the C library, in this library's own words
// and hidden: nothing here may call the program's allocator, which may be anybody's, nor libc's
// functions, whose system calls would be dispatched.
//
// The allocator hands out pieces of its own mapping once, from which crypto/ makes its cipher at
// the start; nothing is given back.

#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#include "crypto/hash.h"
#include "crypto/secret_bytes.h"
#include "emulator/pager/fatal.h"
#include "emulator/pager/own_memory.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kArenaBytes = 8 << 20;
constexpr uint64_t kHeadBytes = 16;  ///< before each piece: its size

struct Arena {
  char* begin;
  uint64_t used_bytes;
};
Arena arena;

void* Allocate(uint64_t alignment, uint64_t bytes) {
  if (arena.begin == nullptr) {
    arena.begin = static_cast<char*>(MapOwn(kArenaBytes));
    if (arena.begin == nullptr) return nullptr;
  }
  if (alignment < kHeadBytes) alignment = kHeadBytes;
  const uint64_t at = (arena.used_bytes + kHeadBytes + alignment - 1) & ~(alignment - 1);
  if (bytes > kArenaBytes || at > kArenaBytes - bytes) return nullptr;
  arena.used_bytes = at + bytes;
  *reinterpret_cast<uint64_t*>(arena.begin + at - kHeadBytes) = bytes;
  return arena.begin + at;
}

}  // namespace
}  // namespace coracle::epc

namespace coracle {

void CheckFailed(const char* file, int line, const char* expression) {
  epc::Line text("epcrun: internal error at ");
  text.Add(file).Add(":").AddNumber(static_cast<uint64_t>(line)).Add(": ").Add(expression);
  epc::Die(nullptr, epc::RunState::kRefused, text.text());
}

}  // namespace coracle

// In crypto/ these two come from OpenSSL, which this library does not carry.
namespace coracle::crypto {

void WipeMemory(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) byte = std::byte{0};
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

bool EqualConstantTime(Bytes a, Bytes b) {
  if (a.size() != b.size()) return false;
  uint8_t different = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    different = static_cast<uint8_t>(different | static_cast<uint8_t>(a[i] ^ b[i]));
    asm volatile("" : "+r"(different));
  }
  return different == 0;
}

}  // namespace coracle::crypto

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, size_t bytes) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

void* memmove(void* to, const void* from, size_t bytes) {
  const auto a = reinterpret_cast<uintptr_t>(to);
  const auto b = reinterpret_cast<uintptr_t>(from);
  if (a - b >= bytes) return memcpy(to, from, bytes);
  for (size_t i = bytes; i > 0; --i) {
    static_cast<volatile char*>(to)[i - 1] = static_cast<const volatile char*>(from)[i - 1];
  }
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

int memcmp(const void* a, const void* b, size_t bytes) {
  const auto* x = static_cast<const volatile unsigned char*>(a);
  const auto* y = static_cast<const volatile unsigned char*>(b);
  for (size_t i = 0; i < bytes; ++i) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

int bcmp(const void* a, const void* b, size_t bytes) { return memcmp(a, b, bytes); }

size_t strlen(const char* text) {
  size_t bytes = 0;
  while (static_cast<const volatile char*>(text)[bytes] != '\0') ++bytes;
  return bytes;
}

void* malloc(size_t bytes) { return coracle::epc::Allocate(16, bytes); }
void free(void*) {}
void* calloc(size_t count, size_t bytes) { return malloc(count * bytes); }  // fresh, so zero
void* aligned_alloc(size_t alignment, size_t bytes) {
  return coracle::epc::Allocate(alignment, bytes);
}
int posix_memalign(void** result, size_t alignment, size_t bytes) {
  *result = coracle::epc::Allocate(alignment, bytes);
  return *result != nullptr ? 0 : ENOMEM;
}
void* realloc(void* old, size_t bytes) {
  void* const result = malloc(bytes);
  if (old == nullptr || result == nullptr) return result;
  const uint64_t old_bytes = *reinterpret_cast<uint64_t*>(static_cast<char*>(old) - 16);
  return memcpy(result, old, old_bytes < bytes ? old_bytes : bytes);
}
}

void* operator new(size_t bytes) { return malloc(bytes); }
void* operator new[](size_t bytes) { return malloc(bytes); }
void operator delete[](void*) noexcept {}
void operator delete[](void*, size_t) noexcept {}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return aligned_alloc(static_cast<size_t>(alignment), bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return malloc(bytes); }
void operator delete(void*) noexcept {}
void operator delete(void*, size_t) noexcept {}
void operator delete(void*, std::align_val_t) noexcept {}
void operator delete(void*, size_t, std::align_val_t) noexcept {}

// Of the C++ library. Nothing here throws and nothing is cast by its dynamic type, but the compiler
// refers to what these would need.
namespace std {  // NOLINT

[[noreturn]] static void Fatal() {
  coracle::epc::Die(nullptr, coracle::epc::RunState::kRefused, "epcrun: internal error: a throw");
}
void __throw_length_error(const char*) { Fatal(); }           // NOLINT
void __throw_logic_error(const char*) { Fatal(); }            // NOLINT
void __throw_bad_alloc() { Fatal(); }                         // NOLINT
void __throw_bad_array_new_length() { Fatal(); }              // NOLINT
void __throw_out_of_range_fmt(const char*, ...) { Fatal(); }  // NOLINT
void terminate() noexcept { Fatal(); }                        // NOLINT
// What an unoptimised build does not inline.
template class allocator<char>;

}  // namespace std

extern "C" {

void __stack_chk_fail() { std::Fatal(); }      // NOLINT
void __cxa_begin_catch() { std::Fatal(); }     // NOLINT
void __cxa_pure_virtual() { std::Fatal(); }    // NOLINT
void __gxx_personality_v0() { std::Fatal(); }  // NOLINT
void _Unwind_Resume() { std::Fatal(); }        // NOLINT
// In ipsec-mb: texts of errors, and a message of its self-test's, which its status tells too.
char* strerror(int) { return nullptr; }
int __printf_chk(int, const char*, ...) { return 0; }  // NOLINT
// Virtual tables of the classes of type_info, in crypto's own.
void* _ZTVN10__cxxabiv117__class_type_infoE[8];     // NOLINT
void* _ZTVN10__cxxabiv120__si_class_type_infoE[8];  // NOLINT
}

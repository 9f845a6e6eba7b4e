// For the small programs that preload_test.cc runs under the library: each checks its own results
// and says which of them was wrong.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

/// Ends the program with 1 unless `condition` holds.
#define PROGRAM_CHECK(condition)                                                                  \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      std::fprintf(stderr, "%s:%d: %s does not hold; errno %d\n", __FILE__, __LINE__, #condition, \
                   errno);                                                                        \
      std::exit(1);                                                                               \
    }                                                                                             \
  } while (false)

/// A byte that tells its place and a seed.
inline unsigned char PatternByte(size_t i, unsigned seed) {
  return static_cast<unsigned char>(i * 31 + (i >> 12) * 7 + seed);
}
inline void FillPattern(unsigned char* bytes, size_t count, unsigned seed) {
  for (size_t i = 0; i < count; ++i) bytes[i] = PatternByte(i, seed);
}
inline bool HasPattern(const unsigned char* bytes, size_t count, unsigned seed) {
  for (size_t i = 0; i < count; ++i) {
    if (bytes[i] != PatternByte(i, seed)) return false;
  }
  return true;
}

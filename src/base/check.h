// CORACLE_CHECK: a broken invariant of our own code. On in release too: it prints one line and
// aborts.
#pragma once

namespace coracle {

[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);

}  // namespace coracle

#define CORACLE_CHECK(expr)                       \
  (static_cast<bool>(expr) ? static_cast<void>(0) \
                           : ::coracle::CheckFailed(__FILE__, __LINE__, #expr))

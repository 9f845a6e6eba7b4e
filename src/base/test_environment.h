// What tests ask of the run that they are in.
#pragma once

#include <cstdlib>
#include <string_view>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORACLE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CORACLE_TSAN 1
#endif

namespace coracle {

/// True with CORACLE_SLOW=1: the long sweeps as well.
inline bool RunsSlowTests() {
  const char* slow = std::getenv("CORACLE_SLOW");
  return slow != nullptr && std::string_view(slow) == "1";
}

}  // namespace coracle

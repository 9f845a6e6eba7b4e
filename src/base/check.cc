#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace coracle {

void CheckFailed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "coracle: internal error at %s:%d: %s does not hold. Please report this.\n",
               file, line, expression);
  std::abort();
}

}  // namespace coracle

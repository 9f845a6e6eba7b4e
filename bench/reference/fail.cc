#include "fail.h"

#include <cstdio>
#include <cstdlib>

namespace coracle::reference {

void EndProgram(int exit_code, std::string_view message) {
  fmt::print(stderr, "{}\n", message);
  std::fflush(nullptr);
  // Not exit(): the destructors of a foreign library may wait for threads that are in its middle.
  std::_Exit(exit_code);
}

}  // namespace coracle::reference

#include "fail.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace coracle::reference {

void EndProgram(int exit_code, std::string_view message) {
  fmt::print(stderr, "{}\n", message);
  std::fflush(nullptr);
  // Not exit(): the destructors of a foreign library may wait for threads that are in its middle.
  std::_Exit(exit_code);
}

int RunProgram(int (*program)(int argc, char** argv), int argc, char** argv) noexcept {
  try {
    return program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return kExitFailed;
  }
}

}  // namespace coracle::reference

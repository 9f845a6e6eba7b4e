#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace coracle::reference {

/// The exit codes of every program here.
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUsage = 2;

/// Ends the program with `exit_code`, after one line on standard error. These programs are oracles
/// that tests and benches start: whatever goes wrong ends the run, so there is no error to hand
/// upwards.
[[noreturn]] void EndProgram(int exit_code, std::string_view message);

/// The operation could not be done; `format` names the file, layer or input, and what to do.
template <typename... Args>
[[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) {
  EndProgram(kExitFailed, fmt::format(format, std::forward<Args>(args)...));
}

/// The command line was wrong.
template <typename... Args>
[[noreturn]] void FailUsage(fmt::format_string<Args...> format, Args&&... args) {
  EndProgram(kExitWrongUsage, fmt::format(format, std::forward<Args>(args)...));
}

/// Runs `program` as main() would, and returns its exit code. The one place where exceptions end:
/// those of a third party, and of the standard library when memory runs out.
int RunProgram(int (*program)(int argc, char** argv), int argc, char** argv) noexcept;

}  // namespace coracle::reference

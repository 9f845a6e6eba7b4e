// The program as a child process: started stopped at a gate, let go, waited for.
//
// It shares epcrun's terminal and process group, so Ctrl-C and Ctrl-Z reach it directly. What is
// sent to epcrun alone (kill, timeout) is passed on. If epcrun is killed, so is the program.
// Threads: one, from start to end (PR_SET_PDEATHSIG goes by the thread).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "emulator/epcrun/descriptor.h"

namespace coracle::epc {

/// How the program ended.
struct Ending {
  int exit_code = 0;  ///< 128 + signal if one ended it
  int signal = 0;     ///< 0: it exited
  rusage usage = {};
};

class Child {
 public:
  struct Settings {
    std::string path;
    std::vector<std::string> arguments;  ///< the first one is its name
    std::string library;                 ///< to preload
    int record_fd = -1;
  };

  /// Forks; the child waits at the gate. From here on epcrun's signals are blocked.
  /// Errors: kUnavailable.
  static Result<std::unique_ptr<Child>> Start(const Settings& settings);
  /// Kills what still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

  /// Opens the gate: the child becomes the program.
  /// Errors: kNotFound, kPermissionDenied, kUnavailable, as execve says.
  Status Open();

  /// Waits for the end, calls `tick` at least every `tick_ms`, and does for the program what a
  /// terminal or a supervisor expects: passes signals on, stops and goes on with it.
  Result<Ending> Wait(uint32_t tick_ms, const std::function<void()>& tick);

 private:
  Child(pid_t pid, std::string path, Descriptor gate, Descriptor refusal)
      : pid_(pid), path_(std::move(path)), gate_(std::move(gate)), refusal_(std::move(refusal)) {}

  pid_t pid_;
  std::string path_;
  Descriptor gate_;
  Descriptor refusal_;  ///< carries errno if execve fails
  bool reaped_ = false;
};

}  // namespace coracle::epc

// Interruption: Ctrl-C as a wish to stop, rather than an end at once.
#pragma once

#include "base/result.h"

namespace coracle::cmd {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP is only noted; the next one does what it did
/// before. Signals that the program ignores stay ignored. One at a time in a process.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// The signal that came; 0: none has.
  static int signal_number();
};

}  // namespace coracle::cmd

// One run of a program under epcrun (docs/epcrun.md), for what it counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

/// epcrun's path: beside this program.
/// Errors: kNotFound; kUnavailable (this machine cannot run it: what it says).
Result<std::string> FindEpcrun();

struct EpcrunOutcome {
  int exit_code = 0;  ///< epcrun's: the program's own, 128 + the signal that ended it, or a refusal
  Json report;        ///< its --json; null if it wrote none
  std::string refusal;  ///< what epcrun itself said last; may be empty
};

/// Runs `program` (the first word is looked for in PATH) in `epc_bytes` of secure memory, a whole
/// number of pages. Its standard input is empty and its output goes nowhere. `waiting` is called a
/// few times a second with the seconds since the start; when it returns a signal's number, the run
/// is ended by that signal.
/// Errors: kUnavailable (epcrun cannot be started).
Result<EpcrunOutcome> RunUnderEpcrun(const std::string& epcrun, uint64_t epc_bytes,
                                     const std::vector<std::string>& program,
                                     const std::function<int(double)>& waiting);

}  // namespace coracle::cmd

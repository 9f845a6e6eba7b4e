// TracedRun: one program under QEMU with the tracer, from its start to its end.
//
// The program has our terminal, its stdin and stderr are ours, and its stdout is our stderr, so
// that stdout is for the findings alone. Signals that end us end it first: Ctrl-C reaches it from
// the terminal, others are passed on; what was found until then is returned.
// Needs qemu-x86_64 with plugins (Debian: qemu-user) in PATH.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "characterize/analysis/findings.h"
#include "characterize/tracer/orders.h"

namespace coracle::characterize {

struct TracedProgram {
  std::string path;
  std::vector<std::string> arguments;  ///< the first is its name
};

struct TraceOutcome {
  int exit_code = 0;    ///< the program's own
  int signal = 0;       ///< that ended it; 0: none
  int told_to_end = 0;  ///< a signal that we were sent meanwhile; 0: none
  Json findings;        ///< findings.h; "complete": false if they end before the program did
};

/// Addresses are not randomised. Where orders.recorder_path has a character that cannot be escaped
/// (colon, comma, blank), it is left out, and the findings say that allocations are not followed.
/// `progress` is called with each report of the tracer.
/// Errors: kUnavailable (no QEMU, or it did not start the program: its own message is on stderr),
/// kUnsupported (what the tracer refuses).
Result<TraceOutcome> RunTraced(const TracedProgram& program, const std::string& plugin_path,
                               TracerOrders orders,
                               const std::function<void(const Json&)>& progress);

}  // namespace coracle::characterize

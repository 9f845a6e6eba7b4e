// epcrun's verbs.
#pragma once

#include "emulator/epcrun/options.h"

namespace coracle::epc {

/// Runs the program inside and reports. Returns epcrun's exit code.
/// Errors: what kept the program from running.
Result<int> RunInside(const Options& options);

/// `--share NAME --list`.
Result<int> ListShare(const Options& options);

}  // namespace coracle::epc

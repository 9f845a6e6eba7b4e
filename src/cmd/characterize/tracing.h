// Tracing one program: what all modes of `coracle characterize` begin with.
#pragma once

#include <string>
#include <vector>

#include "characterize/tracer/traced_run.h"
#include "cmd/characterize/options.h"

namespace coracle::cmd {

/// Runs `program` (found in PATH; the first word is its name) under the tracer, with progress on a
/// terminal.
/// Errors: kNotFound, kUnsupported (no program of x86-64 Linux), kUnavailable (no QEMU).
Result<characterize::TraceOutcome> Trace(const CharacterizeOptions& options,
                                         const std::vector<std::string>& program);

/// "ended with exit code 0", "interrupted", ...
std::string Ending(const characterize::TraceOutcome& outcome);

/// What every mode reports of a traced program: its name and end, the findings, advice.
Json DescribeTrace(const std::vector<std::string>& program,
                   const characterize::TraceOutcome& outcome);

}  // namespace coracle::cmd

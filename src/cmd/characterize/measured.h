// Page loads as epcrun counts them, beside those that were predicted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/characterize/options.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

/// Whether MeasureUnderEpcrun could run anything here: to be asked before a long trace.
/// Errors: kNotFound (no epcrun), kUnavailable (this machine cannot run it: what epcrun says).
Status CheckMeasuring();

/// Runs `program` under epcrun once for each of findings.epc.sizes and adds to each size
/// "measured": {"loads", "evictions", "first_touches", "difference"} (of loads, predicted over
/// measured less 1; null where nothing was measured) or {"error"}: what kept it from running as it
/// did under the tracer, epcrun's refusal, or "interrupted". Between the same marks as the options
/// say. Its standard input is empty and its output goes nowhere. Ctrl-C ends the run that it meets,
/// and there are no further ones; findings of an interrupted trace are not measured at all.
/// Requires: findings.exit_code. Errors: as CheckMeasuring.
Status MeasureUnderEpcrun(const CharacterizeOptions& options,
                          const std::vector<std::string>& program, Json& findings);

/// What epcrun's report (docs/epcrun.md) counts between the marks, as "measured" above without
/// "difference".
/// Errors: kNotFound (a mark is missing).
Result<Json> CountsBetween(const Json& epcrun_report, std::optional<uint64_t> from_mark,
                           std::optional<uint64_t> to_mark);

}  // namespace coracle::cmd

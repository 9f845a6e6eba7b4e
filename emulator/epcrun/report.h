// What a run cost, from its RunRecord: JSON for programs, a table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "emulator/epcrun/child.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

using Json = nlohmann::ordered_json;

/// One page swap (a load and the eviction that made room for it) as this run paid for it, in
/// microseconds. Time in the pager over the larger of loads and evictions; so first touches are in
/// it too. What the kernel needs to deliver the fault is not: `epcrun --calibrate` measures that.
struct SwapCost {
  double total_us = 0;    ///< without waiting, and without what was spun for --charge-cycles
  double crypto_us = 0;   ///< sealing and opening
  double mapping_us = 0;  ///< system calls that map and unmap
  double rest_us = 0;     ///< tables and the queue
  double waiting_us = 0;  ///< beside it, for other threads' faults
};

/// How the program ran, beside its record.
struct RunFacts {
  std::vector<std::string> program;
  Ending ending;
  int exit_code = 0;  ///< epcrun's
  double wall_seconds = 0;
};

/// All zero without swaps.
SwapCost SwapCostOf(const RunRecord& record);

/// Documented in docs/epcrun.md.
Json RunJson(const RunRecord& record, const RunFacts& facts);
/// Several lines, each starting with "epcrun: ".
std::string RunText(const RunRecord& record, const RunFacts& facts);

/// Whether WriteJson will be able to write there, as far as that can be told before a long run.
/// Errors: kUnavailable.
Status CheckJsonPath(const std::string& path);

/// Writes `json` to `path` ("-": stdout) so that the file appears complete or not at all.
/// Errors: kUnavailable.
Status WriteJson(const std::string& path, const Json& json);

}  // namespace coracle::epc

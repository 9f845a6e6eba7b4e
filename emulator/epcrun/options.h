// epcrun's command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "emulator/epcrun/limit.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

enum class Verb : uint8_t { kRun, kCalibrate, kCalibrateInside, kList };
enum class Summary : uint8_t { kPrint, kNone };

struct Options {
  Verb verb = Verb::kRun;
  uint64_t limit_bytes = kUnlimited;
  uint64_t charge_cycles = 0;
  std::string json;      ///< a path, "-" for stdout, or empty
  std::string timeline;  ///< a path or empty
  std::string share;
  uint64_t quota_bytes = 0;  ///< 0: an equal part of what is left
  Summary summary = Summary::kPrint;
  int results_fd = -1;               ///< kCalibrateInside: where to write
  std::vector<std::string> program;  ///< and its arguments
};

/// What the command line asks for. --help and --version print and exit.
/// Errors: kInvalidArgument, one line that says what to write instead.
Result<Options> ParseOptions(int argc, char** argv);

/// The size of a whole number of pages, at least kLimitBytesMin, or "unlimited".
/// Errors: kInvalidArgument, naming `option`.
Result<uint64_t> ParseLimit(const std::string& option, const std::string& text);

}  // namespace coracle::epc

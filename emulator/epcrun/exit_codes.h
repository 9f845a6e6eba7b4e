// How epcrun itself ends; else it ends as the program did, or with 128 + the signal that ended it.
// (kTamperedExitCode, of a page that did not open, is in pager/run_record.h.)
#pragma once

#include "base/result.h"

namespace coracle::epc {

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignalBase = 128;

inline int ExitCodeOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return kExitUsage;
    case Code::kPermissionDenied:
      return kExitNotExecutable;
    case Code::kNotFound:
      return kExitNotFound;
    default:
      return kExitRefused;
  }
}

}  // namespace coracle::epc

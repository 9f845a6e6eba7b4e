// The program that is to be traced: found as a shell would, and refused in one line if QEMU could
// not run it.
#pragma once

#include <string>

#include "base/result.h"

namespace coracle::characterize {

/// The path of `name`: itself if it has a slash, else from PATH. Errors: kNotFound.
Result<std::string> FindProgram(const std::string& name);

/// Whether `path` is a program of x86-64 Linux. Errors: kNotFound, kPermissionDenied, kUnsupported
/// (a script, another architecture, no program at all), saying what it is.
Status CheckProgram(const std::string& path);

}  // namespace coracle::characterize

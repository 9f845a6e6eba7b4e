// The program that is to run inside: where it is, and whether it can.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::epc {

/// The path of `name` as execvp(3) would find it: by PATH if it has no slash.
/// Errors: kNotFound; kPermissionDenied (there, but not an executable file).
Result<std::string> FindProgram(const std::string& name);

/// Whether the library can be preloaded into `path`, which is about to run with `arguments` (the
/// first one its name). `#!` lines are followed as the kernel does, and `env` to what it starts.
/// Errors: kUnsupported, in one line with what to do: statically linked, not x86-64, another loader
/// than glibc's, or with privileges (setuid, capabilities) for which the loader preloads nothing.
/// kPermissionDenied: not a program at all. kNotFound: its interpreter is missing.
Status CheckProgram(const std::string& path, const std::vector<std::string>& arguments);

/// libepcrun.so: beside this program, or where it is installed from there (../lib/coracle).
/// Errors: kUnavailable, with where it was looked for.
Result<std::string> FindLibrary();

}  // namespace coracle::epc

// `coracle characterize --compare-inputs A B ...`: do the addresses that a program touches, and the
// instructions that it executes, depend on its input?
#pragma once

#include "base/result.h"
#include "cmd/characterize/options.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

/// Requires: at least two inputs. A program's argument `{}` stands for the input.
Result<Report> CompareInputs(const CharacterizeOptions& options);

}  // namespace coracle::cmd

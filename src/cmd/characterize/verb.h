// The verb `coracle characterize`, which the program coracle-characterize does.
#pragma once

#include <CLI/CLI.hpp>

#include "cmd/support/console.h"

namespace coracle::cmd {

void AddCharacterizeVerb(CLI::App& app, Console& console);

}  // namespace coracle::cmd

// `coracle seal`.
#pragma once

#include <CLI/CLI.hpp>

#include "cmd/support/console.h"

namespace coracle::cmd {

void AddSealVerb(CLI::App& app, Console& console);

}  // namespace coracle::cmd

// The verbs of `coracle`: each adds its subcommand to the program.
#pragma once

#include <CLI/CLI.hpp>

#include "cmd/support/console.h"

namespace coracle::cmd {

void AddKeygen(CLI::App& app, Console& console);
void AddSeal(CLI::App& app, char** argv);
void AddCheck(CLI::App& app, Console& console);
void AddInspect(CLI::App& app, Console& console);
void AddPlan(CLI::App& app, Console& console);
void AddRun(CLI::App& app, Console& console);
void AddBatch(CLI::App& app, Console& console);
void AddBench(CLI::App& app, Console& console);
void AddCompare(CLI::App& app, Console& console);
void AddCharacterize(CLI::App& app, Console& console);

}  // namespace coracle::cmd

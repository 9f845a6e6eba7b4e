// The verbs of `coracle`: each adds its subcommand to the program.
#pragma once

#include <CLI/CLI.hpp>

#include "cmd/support/console.h"

namespace coracle::cmd {

void AddKeygen(CLI::App& app, Console& console);
/// Becomes the program that does the verb, if that is one with a program of its own: all that
/// follows is its to read. Returns kExitSuccess if it is not, kExitFailed if that cannot be
/// started.
int RunDelegated(char** argv);
/// Adds those verbs to what --help lists.
void AddDelegated(CLI::App& app);
void AddCheck(CLI::App& app, Console& console);
void AddInspect(CLI::App& app, Console& console);
void AddPlan(CLI::App& app, Console& console);
void AddRun(CLI::App& app, Console& console);
void AddBatch(CLI::App& app, Console& console);
void AddBench(CLI::App& app, Console& console);
void AddCompare(CLI::App& app, Console& console);

}  // namespace coracle::cmd

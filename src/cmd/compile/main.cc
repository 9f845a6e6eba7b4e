// coracle-compile: imports, optimises, packs and seals. The only program that links the importers.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/units.h"
#include "cmd/compile/seal_verb.h"
#include "cmd/support/console.h"
#include "host/posix/atomic_file.h"

int main(int argc, char** argv) {
  using namespace coracle::cmd;  // NOLINT(google-build-using-namespace): the program's only scope
  CLI::App app("Optimises, packs and encrypts models for `coracle`.", "coracle");
  app.require_subcommand(1);
  Console console;
  AddSealVerb(app, console);
  if (!coracle::host::RemoveTemporaryFilesOnSignal().ok()) return kExitFailed;
  return ParseAndRun(app, console, argc, argv);
}

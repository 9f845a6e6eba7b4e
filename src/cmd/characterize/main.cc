// coracle-characterize: `coracle characterize`, and what it traces of ours.
#include "cmd/characterize/sealed.h"
#include "cmd/characterize/verb.h"
#include "cmd/support/console.h"
#include "host/posix/atomic_file.h"
#include "host/posix/blob_guard.h"

int main(int argc, char** argv) {
  using namespace coracle::cmd;  // NOLINT(google-build-using-namespace): the program's only scope
  CLI::App app("Traces programs and sealed models for `coracle`.", "coracle");
  app.require_subcommand(1);
  Console console;
  AddCharacterizeVerb(app, console);
  AddTracedWorker(app, console);
  if (!coracle::host::GuardMappedBlobs().ok() ||
      !coracle::host::RemoveTemporaryFilesOnSignal().ok()) {
    return kExitFailed;
  }
  return ParseAndRun(app, console, argc, argv);
}

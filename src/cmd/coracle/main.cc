// coracle: the owner's, operator's and client's command line.
#include "cmd/coracle/verbs.h"
#include "host/posix/atomic_file.h"
#include "host/posix/blob_guard.h"

int main(int argc, char** argv) {
  using namespace coracle::cmd;  // NOLINT(google-build-using-namespace): the program's only scope
  if (const int code = RunDelegated(argv); code != kExitSuccess) return code;
  CLI::App app("Coracle: predictions from a sealed model within a budget of secure memory.",
               "coracle");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer(
      "Example:\n"
      "  coracle keygen -o owner.key\n"
      "  coracle seal model.onnx -o model.sealed --key owner.key --preprocess imagenet --decode "
      "topk\n"
      "  coracle run model.sealed --key owner.key --memory 8MiB --input photo.jpg\n\n"
      "`coracle VERB --help` has an example for each verb. Exit codes: 0 done, 1 refused or "
      "failed, 2 wrong usage.");
  Console console;
  AddKeygen(app, console);
  AddDelegated(app);
  AddCheck(app, console);
  AddInspect(app, console);
  AddPlan(app, console);
  AddRun(app, console);
  AddBatch(app, console);
  AddBench(app, console);
  AddCompare(app, console);
  if (!coracle::host::GuardMappedBlobs().ok() ||
      !coracle::host::RemoveTemporaryFilesOnSignal().ok())
    return kExitFailed;
  return ParseAndRun(app, console, argc, argv);
}

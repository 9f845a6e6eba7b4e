// `coracle characterize M.sealed`: the engine itself, traced while it predicts.
#pragma once

#include "base/result.h"
#include "cmd/characterize/options.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

/// True if the options name a sealed model and not a program.
bool NamesSealedModel(const CharacterizeOptions& options);

/// The commands that predict with a sealed model and tell the tracer layer by layer what they do
/// (base/trace_note.h). Predictions are marked as `coracle run` marks them
/// (cmd/support/epc_mark.h); the second one is steady.
struct SealedTrace {
  std::vector<std::string> command;  ///< the first word is our own program
  uint64_t from_mark = 0;            ///< of the steady prediction
  uint64_t to_mark = 0;
  /// What it runs: budget_bytes (null: unlimited), pool_bytes, workspace_bytes, pinned_bytes,
  /// predicted_ms, steps (StepsJson).
  Json plan;
};
/// Plans program[0] within `memory` at the rates of this machine outside of the tracer, so that the
/// traced process runs what an untraced one would, and decodes images. `scratch`: a folder for what
/// is handed over, which the command needs as long as it runs; one for each command.
/// Errors: those of opening, planning and reading inputs.
Result<SealedTrace> PrepareSealedTrace(const CharacterizeOptions& options,
                                       const std::string& scratch);

/// For another trace with the same command: its inputs become what options.inputs (of the same
/// names) hold by now. The plan stays. Errors: unreadable or wrong files.
Status RenewInputs(const CharacterizeOptions& options, const std::string& scratch);

/// The steady prediction, traced: "plan" beside what is reported of a program, and its layers.
/// Requires: NamesSealedModel(options).
Result<Report> CharacterizeSealed(const CharacterizeOptions& options);

/// Adds the hidden verb that the traced process runs.
void AddTracedWorker(CLI::App& app, Console& console);

}  // namespace coracle::cmd

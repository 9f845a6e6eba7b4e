#include "cmd/characterize/tracing.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/units.h"
#include "characterize/advice/advice.h"
#include "characterize/program/target_program.h"
#include "cmd/support/scratch_folder.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {
namespace {

constexpr char kTracer[] = "libcoracle_tracer.so";
constexpr char kAllocations[] = "libcoracle_allocations.so";

/// Beside the program, or where it was installed.
Result<std::string> FindLibrary(const char* name) {
  const std::string folder = ProgramFolder();
  for (const char* place : {"", "../" CORACLE_INSTALL_LIBDIR "/coracle/"}) {
    std::string path = fmt::format("{}/{}{}", folder, place, name);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return Error{Code::kNotFound, fmt::format("{} is not beside coracle, where it belongs", name)};
}

void ShowProgress(const Json& findings) {
  if (isatty(STDERR_FILENO) != 1) return;
  fmt::print(stderr, "\rtracing: {:.0f} s, {:.0f} million accesses, {} touched\033[K",
             findings.at("seconds").get<double>(),
             findings.at("accesses").at("count").get<double>() * 1e-6,
             FormatBytes(findings.at("peak_bytes").get<uint64_t>()));
}

/// A mark that never came is no small thing: the counts are of something else than was asked for.
void ComplainOfMarks(const CharacterizeOptions& options, const Json& findings) {
  if (options.from_mark && !findings.value("from_mark_seen", false)) {
    fmt::print(stderr,
               "coracle characterize: the program never marked {}: what was found counts from its "
               "start (docs/epcrun.md says how a program marks)\n",
               *options.from_mark);
  }
  if (options.to_mark && !findings.value("to_mark_seen", false)) {
    fmt::print(stderr,
               "coracle characterize: the program never marked {}{}: what was found counts to its "
               "end\n",
               *options.to_mark, options.from_mark ? " behind that" : "");
  }
}

}  // namespace

std::string Ending(const characterize::TraceOutcome& outcome) {
  if (outcome.signal != 0 && outcome.told_to_end != 0) return "interrupted";
  if (outcome.signal != 0) {
    return fmt::format("ended by signal {} ({})", outcome.signal, strsignal(outcome.signal));
  }
  if (outcome.findings.at("replaced").get<bool>()) {
    return fmt::format(
        "has run another program in its own place (execve), which was not followed; "
        "that one ended with {}",
        outcome.exit_code);
  }
  return fmt::format("ended with exit code {}", outcome.exit_code);
}

Json DescribeTrace(const std::vector<std::string>& program,
                   const characterize::TraceOutcome& outcome) {
  Json json = Json::object();
  json["program"] = program[0];
  json["arguments"] = std::vector<std::string>(program.begin() + 1, program.end());
  json["exit_code"] = outcome.exit_code;
  json["signal"] = outcome.signal == 0 ? Json() : Json(outcome.signal);
  json["ending"] = Ending(outcome);
  json.update(outcome.findings);
  json["advice"] = characterize::AdviceJson(characterize::Advise(outcome.findings));
  return json;
}

Result<characterize::TraceOutcome> Trace(const CharacterizeOptions& options,
                                         const std::vector<std::string>& program) {
  characterize::TracerOrders orders;
  TRY_ASSIGN(orders.analysis, ParseSettings(options));
  orders.from_mark = options.from_mark;
  orders.to_mark = options.to_mark;
  TRY_ASSIGN(const std::string path, characterize::FindProgram(program[0]));
  TRY(characterize::CheckProgram(path));
  TRY_ASSIGN(const std::string tracer, FindLibrary(kTracer));
  if (!options.compare_inputs.empty()) {
    // The program as it is: what is preloaded would be compared, too.
    orders.work = characterize::TracerWork::kDigests;
  } else if (const auto recorder = FindLibrary(kAllocations); recorder.ok()) {
    // Without it all but allocations is found out, and the findings say so.
    orders.recorder_path = *recorder;
  }
  TRY_ASSIGN(const auto folder, ScratchFolder::Make());
  std::error_code ignored;
  orders.program_path = std::filesystem::canonical(path, ignored).string();
  orders.report_path = folder->path() + "/findings.json";
  auto outcome = characterize::RunTraced({path, program}, tracer, orders, ShowProgress);
  if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\033[K");
  if (outcome.ok()) ComplainOfMarks(options, outcome->findings);
  return outcome;
}

}  // namespace coracle::cmd

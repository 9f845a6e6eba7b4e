#include "cmd/characterize/compare_inputs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "cmd/characterize/comparison_report.h"
#include "cmd/characterize/sealed.h"
#include "cmd/characterize/tracing.h"
#include "cmd/support/scratch_folder.h"

namespace coracle::cmd {
namespace {

constexpr std::string_view kPlaceholder = "{}";

/// What each run reads from standard input: the same file from where we stood in it, or nothing.
/// Terminals and pipes would give every run something else.
class StandardInput {
 public:
  static Result<StandardInput> Take() {
    struct stat status {};
    StandardInput input;
    if (::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode)) {
      input.begin_ = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
      return input;
    }
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const bool replaced = nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0;
    if (nothing > STDIN_FILENO) ::close(nothing);
    if (replaced) return input;
    return Error{Code::kUnavailable, fmt::format("/dev/null: {}", std::strerror(errno))};
  }
  void Rewind() const { ::lseek(STDIN_FILENO, begin_, SEEK_SET); }

 private:
  off_t begin_ = 0;
};

/// Blocks that a program has given back must not decide where later ones lie: some libraries
/// measure clocks before main (libhwy's nanobenchmark) and allocate as often as time permits. So
/// glibc's allocator keeps no lists of small freed blocks (mallopt(3), glibc manual 39.2): what is
/// freed is joined to what is free.
Status ForgetFreedBlocks() {
  constexpr char kName[] = "GLIBC_TUNABLES";
  constexpr char kTunables[] = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0";
  const char* const own = std::getenv(kName);
  const std::string all =
      own == nullptr || *own == 0 ? kTunables : fmt::format("{}:{}", own, kTunables);
  if (::setenv(kName, all.c_str(), 1) == 0) return {};
  return Error{Code::kUnavailable, fmt::format("{}: {}", kName, std::strerror(errno))};
}

/// What is run: the same words each time, so that the program's arguments lie at the same
/// addresses and have the same lengths. The input is put in place before each run.
struct Comparing {
  CharacterizeOptions options;  ///< with the marks
  std::vector<std::string> command;
  std::string place;  ///< path of the input, as the command has it
  /// Of what is handed to the process that runs a sealed model; empty: a program is run.
  std::string sealed_scratch;
};

/// Files that are not read in the same way are not told apart by what is in them.
Status CheckInputs(const std::vector<std::string>& inputs) {
  const std::string extension = std::filesystem::path(inputs[0]).extension().string();
  for (const std::string& input : inputs) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(input, error)) {
      return Error{Code::kNotFound, fmt::format("--compare-inputs: {} is not a file", input)};
    }
    if (std::filesystem::path(input).extension() != extension) {
      return Error{Code::kInvalidArgument,
                   fmt::format("--compare-inputs: {} and {} are of different kinds; convert one",
                               inputs[0], input)};
    }
  }
  return {};
}

Status CheckOptions(const CharacterizeOptions& options) {
  if (options.measure || !options.model.empty()) {
    return Error{
        Code::kInvalidArgument,
        "--compare-inputs compares and does nothing else: leave --measure and --model out"};
  }
  if (options.compare_inputs.size() < 2) {
    return Error{Code::kInvalidArgument, "--compare-inputs: two files at least"};
  }
  return CheckInputs(options.compare_inputs);
}

Status PutInPlace(const std::string& input, const std::string& place) {
  std::error_code error;
  std::filesystem::copy_file(input, place, std::filesystem::copy_options::overwrite_existing,
                             error);
  if (!error) return {};
  return Error{Code::kUnavailable, fmt::format("{}: {}", input, error.message())};
}

Result<Comparing> PrepareProgram(const CharacterizeOptions& options, std::string place) {
  Comparing comparing{options, options.program, std::move(place), {}};
  bool found = false;
  for (std::string& word : comparing.command) {
    for (size_t at = 0; (at = word.find(kPlaceholder, at)) != std::string::npos;) {
      word.replace(at, kPlaceholder.size(), comparing.place);
      at += comparing.place.size();
      found = true;
    }
  }
  if (found) return comparing;
  return Error{Code::kInvalidArgument,
               "--compare-inputs: none of the program's arguments is {}, where the input goes"};
}

Result<Comparing> PrepareSealed(const CharacterizeOptions& options, std::string place,
                                const std::string& scratch) {
  Comparing comparing{options, {}, std::move(place), {}};
  comparing.options.inputs = {comparing.place};
  TRY(PutInPlace(options.compare_inputs[0], comparing.place));
  TRY_ASSIGN(SealedTrace sealed, PrepareSealedTrace(comparing.options, scratch));
  comparing.options.from_mark = sealed.from_mark;
  comparing.options.to_mark = sealed.to_mark;
  comparing.command = std::move(sealed.command);
  comparing.sealed_scratch = scratch;
  return comparing;
}

std::string Between(const CharacterizeOptions& options) {
  return fmt::format("{} {}",
                     options.from_mark ? fmt::format("from mark {}", *options.from_mark)
                                       : "from the program's start",
                     options.to_mark ? fmt::format("to mark {}", *options.to_mark) : "to its end");
}

/// What says nothing of a whole run cannot be compared.
Status CheckWhole(const std::string& input, const characterize::TraceOutcome& outcome,
                  const CharacterizeOptions& options) {
  const Json& findings = outcome.findings;
  const bool ended_well = outcome.signal == 0 && outcome.exit_code == 0 &&
                          !findings.at("replaced").get<bool>() && findings.contains("digests");
  if (!ended_well) {
    return Error{Code::kUnsupported,
                 fmt::format("--compare-inputs: with {} the program {}: only runs that end well "
                             "are compared",
                             input, Ending(outcome))};
  }
  if (!findings.at("digests").at("marks_seen").get<bool>()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--compare-inputs: with {} the program did not come from one mark to "
                             "the other ({}): see docs/epcrun.md",
                             input, Between(options))};
  }
  if (findings.at("threads_lost").get<uint64_t>() != 0 ||
      findings.at("processes_started").get<uint64_t>() != 0) {
    return Error{
        Code::kUnsupported,
        fmt::format("--compare-inputs: with {} the program starts other processes, or more "
                    "threads than are followed: part of it would not be compared",
                    input)};
  }
  return {};
}

Result<ComparedRun> TraceInput(const Comparing& comparing, const std::string& input,
                               const StandardInput& standard_input) {
  TRY(PutInPlace(input, comparing.place));
  if (!comparing.sealed_scratch.empty()) {
    TRY(RenewInputs(comparing.options, comparing.sealed_scratch));
  }
  standard_input.Rewind();
  TRY_ASSIGN(auto outcome, Trace(comparing.options, comparing.command));
  TRY(CheckWhole(input, outcome, comparing.options));
  return ComparedRun{input,
                     outcome.findings.at("seconds").get<double>(),
                     std::move(outcome.findings.at("digests")),
                     {}};
}

}  // namespace

Result<Report> CompareInputs(const CharacterizeOptions& options) {
  TRY(CheckOptions(options));
  TRY_ASSIGN(const auto scratch, ScratchFolder::Make());
  TRY_ASSIGN(const StandardInput standard_input, StandardInput::Take());
  TRY(ForgetFreedBlocks());
  const std::string place = scratch->path() + "/input" +
                            std::filesystem::path(options.compare_inputs[0]).extension().string();
  const bool sealed = NamesSealedModel(options);
  TRY_ASSIGN(const Comparing comparing, sealed ? PrepareSealed(options, place, scratch->path())
                                               : PrepareProgram(options, place));
  InputComparison comparison{
      sealed ? options.program : comparing.command, Between(comparing.options), {}, {}};
  bool differs = false;
  for (const std::string& input : options.compare_inputs) {
    TRY_ASSIGN(ComparedRun run, TraceInput(comparing, input, standard_input));
    if (!comparison.runs.empty()) {
      run.with_first = characterize::CompareTraces(comparison.runs[0].digests, run.digests);
      differs = differs || !run.with_first.same();
    }
    comparison.runs.push_back(std::move(run));
  }
  if (differs) {
    TRY_ASSIGN(ComparedRun run, TraceInput(comparing, options.compare_inputs[0], standard_input));
    run.with_first = characterize::CompareTraces(comparison.runs[0].digests, run.digests);
    comparison.again.push_back(std::move(run));
  }
  return ReportComparison(comparison);
}

}  // namespace coracle::cmd

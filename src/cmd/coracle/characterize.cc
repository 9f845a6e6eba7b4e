// `coracle characterize`: how a program would behave in an enclave, from one traced run of it.
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "characterize/access_run.h"
#include "characterize/advice.h"
#include "characterize/target_program.h"
#include "characterize/traced_run.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/characterization_text.h"
#include "cmd/support/scratch_folder.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {
namespace {

constexpr char kTracer[] = "libcoracle_tracer.so";

struct CharacterizeOptions {
  std::string epc = "8MiB,16MiB,32MiB,64MiB";
  std::string granularity = "64";
  double sample = 1;
  std::vector<std::string> program;
};

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Beside the program, or where it was installed.
Result<std::string> FindTracer() {
  const std::string folder = ProgramFolder();
  for (const char* place : {"", "../" CORACLE_INSTALL_LIBDIR "/coracle/"}) {
    std::string path = fmt::format("{}/{}{}", folder, place, kTracer);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return Error{Code::kNotFound, fmt::format("{} is not beside coracle, where it belongs", kTracer)};
}

Result<uint64_t> ParseEpc(const std::string& text) {
  TRY_ASSIGN(const uint64_t bytes, ParseBytes(text));
  if (bytes < 64 * characterize::kPageBytes || bytes % characterize::kPageBytes != 0) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--epc: {} is not a multiple of 4 KiB of at least 256 KiB", text)};
  }
  return bytes;
}

Result<uint32_t> ParseGranularity(const std::string& text) {
  TRY_ASSIGN(const uint64_t bytes, ParseBytes(text));
  if (!std::has_single_bit(bytes) || bytes < characterize::kLineBytes ||
      bytes > characterize::kPageBytes) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--granularity: {} is not a power of two from 64 B to 4 KiB", text)};
  }
  return static_cast<uint32_t>(std::countr_zero(bytes));
}

Result<characterize::TraceAnalysis::Settings> ParseSettings(const CharacterizeOptions& options) {
  characterize::TraceAnalysis::Settings settings;
  settings.shifts.clear();
  settings.sample_rate = options.sample;
  const std::vector<std::string> sizes = SplitAtCommas(options.epc);
  if (sizes.size() > characterize::EpcCaches::kSizesMax) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--epc: at most {} sizes", characterize::EpcCaches::kSizesMax)};
  }
  for (const std::string& text : sizes) {
    TRY_ASSIGN(settings.epc_bytes.emplace_back(), ParseEpc(text));
  }
  for (const std::string& text : SplitAtCommas(options.granularity)) {
    TRY_ASSIGN(const uint32_t shift, ParseGranularity(text));
    // Pages are always there.
    if (shift != characterize::kPageShift) settings.shifts.push_back(shift);
  }
  return settings;
}

void ShowProgress(const Json& findings) {
  if (isatty(STDERR_FILENO) != 1) return;
  fmt::print(stderr, "\rtracing: {:.0f} s, {:.0f} million accesses, {} touched\033[K",
             findings.at("seconds").get<double>(),
             findings.at("accesses").at("count").get<double>() * 1e-6,
             FormatBytes(findings.at("peak_bytes").get<uint64_t>()));
}

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

Report Describe(const CharacterizeOptions& options, const characterize::TraceOutcome& outcome) {
  Report report;
  report.json["program"] = options.program[0];
  report.json["arguments"] =
      std::vector<std::string>(options.program.begin() + 1, options.program.end());
  report.json["exit_code"] = outcome.exit_code;
  report.json["signal"] = outcome.signal == 0 ? Json() : Json(outcome.signal);
  report.json["ending"] = Ending(outcome);
  report.json.update(outcome.findings);
  Json advice = Json::array();
  for (const characterize::Advice& one : characterize::Advise(outcome.findings)) {
    advice.push_back({{"what", one.what}, {"number", one.number}, {"effect", one.effect}});
  }
  report.json["advice"] = std::move(advice);
  report.text = CharacterizationText(report.json);
  report.exit_code = outcome.exit_code;
  return report;
}

Result<Report> Characterize(const CharacterizeOptions& options) {
  characterize::TracerOrders orders;
  TRY_ASSIGN(orders.analysis, ParseSettings(options));
  TRY_ASSIGN(const std::string program, characterize::FindProgram(options.program[0]));
  TRY(characterize::CheckProgram(program));
  TRY_ASSIGN(const std::string tracer, FindTracer());
  TRY_ASSIGN(const auto folder, ScratchFolder::Make());
  std::error_code ignored;
  orders.program_path = std::filesystem::canonical(program, ignored).string();
  orders.report_path = folder->path() + "/findings.json";
  // The findings come from a process that the traced program shares; whatever it made of them, we
  // do not throw.
  try {
    TRY_ASSIGN(const auto outcome,
               characterize::RunTraced({program, options.program}, tracer, orders, ShowProgress));
    if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\033[K");
    return Describe(options, outcome);
  } catch (const Json::exception& error) {
    return Error{Code::kInternal,
                 fmt::format("the tracer's findings make no sense: {}", error.what())};
  }
}

}  // namespace

void AddCharacterize(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand(
      "characterize", "Trace a program and say how it would behave in an enclave");
  const auto options = std::make_shared<CharacterizeOptions>();
  verb->add_option("--epc", options->epc, "Sizes of secure memory to predict page loads for")
      ->type_name("SIZE,...")
      ->capture_default_str();
  verb->add_option("--granularity", options->granularity,
                   "Follow reuse at these sizes beside pages: 64 to 4096 bytes, powers of two")
      ->type_name("SIZE,...")
      ->capture_default_str();
  verb->add_option("--sample", options->sample,
                   "Follow this share of what is smaller than a page (pages: always all)")
      ->check(CLI::Range(1e-4, 1.0))
      ->capture_default_str();
  verb->add_option("PROGRAM", options->program, "The program and its arguments, after --")
      ->required();
  verb->footer(
      "The program runs under QEMU (Debian: qemu-user), some 30 to 100 times slower; its output "
      "goes "
      "to stderr. Children\nthat it forks are not followed. Ctrl-C ends it and prints what was "
      "found. "
      "The exit code is the program's.\n\n"
      "Example:\n  coracle characterize --epc 8MiB,32MiB -- darknet classifier predict "
      "imagenet1k.data darknet19.cfg darknet19.weights dog.jpg");
  console.Register(verb, [options] { return Characterize(*options); });
}

}  // namespace coracle::cmd

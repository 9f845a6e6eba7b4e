#include "emulator/epcrun/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

#include "base/units.h"
#include "emulator/epcrun/shared_epc.h"

namespace coracle::epc {
namespace {

constexpr char kAbout[] =
    "epcrun: runs a program within an enclave page cache (EPC) in software.\n\n"
    "At most --size bytes of the program's memory are present at any moment. A page that must go "
    "is\n"
    "encrypted and authenticated (AES-256-GCM), kept outside, and opened again at its next "
    "touch.\n\n"
    "What it is: the limit, the encryption and the page faults are real, so a program slows down\n"
    "as it does where secure memory is scarce. What it is not: an enclave. Nothing is isolated "
    "from\n"
    "the machine, so do not protect secrets with it; and its figures are those of this machine in\n"
    "software, not a hardware's (`epcrun --calibrate` says how they compare).";

constexpr char kExamples[] =
    "Examples:\n"
    "  epcrun --size 93MiB -- darknet classify tiny.cfg tiny.weights dog.jpg\n"
    "  epcrun --size 93MiB --json stats.json --timeline pages.csv -- python3 predict.py\n"
    "  epcrun --size 64MiB --charge-cycles 40000 -- ./server      each page swap costs 40,000 "
    "cycles\n"
    "  epcrun --share epc --size 93MiB -- ./a & epcrun --share epc --size 93MiB -- ./b\n"
    "  epcrun --share epc --list\n"
    "  epcrun --calibrate\n\n"
    "Charged: heap, anonymous memory, stacks, writable data. Not charged: code, mapped files, "
    "shared\n"
    "memory. Children that the program starts run outside, with a warning.\n"
    "Exit codes: the program's own; 128 + N if signal N ended it; 86 if an evicted page was "
    "changed;\n"
    "1 refused, 2 wrong usage, 126 not executable, 127 not found. More: docs/epcrun.md.";

class UsageLine : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: epcrun --size SIZE [OPTIONS] -- PROGRAM [ARGUMENTS]\n";
  }
};

struct Texts {
  std::string size;
  std::string page = "4KiB";
  std::string quota;
  bool calibrate = false;
  bool list = false;
  bool quiet = false;
};

void Describe(CLI::App& app, Texts& texts, Options& options) {
  app.add_option("--size", texts.size, "The limit: 93MiB, 128MiB, ..., or unlimited (only counts)");
  app.add_option("--page", texts.page, "Size of an EPC page: 4KiB, the only one there is");
  app.add_option("--charge-cycles", options.charge_cycles,
                 "A load with its eviction takes at least so many cycles");
  app.add_option("--json", options.json, "Write the statistics to this file (-: stdout)");
  app.add_option("--timeline", options.timeline, "Write a CSV line every 10 ms to this file");
  app.add_option("--share", options.share, "Compete for the EPC of this name with other runs");
  app.add_option("--quota", texts.quota, "With --share: this much, always; else an equal part");
  app.add_flag("--list", texts.list, "With --share: show the runs that share it");
  app.add_flag("--calibrate", texts.calibrate, "Measure what a page swap costs on this machine");
  app.add_option("--calibrate-inside", options.results_fd)->group("");
  app.add_flag("-q,--quiet", texts.quiet, "No summary on stderr");
}

Error Usage(std::string message) {
  return Error{Code::kInvalidArgument, std::move(message) + "; see epcrun --help"};
}

Status CheckShare(const Texts& texts, const Options& options) {
  if (options.share.empty()) {
    if (!texts.quota.empty()) return Usage("--quota is a part of a shared EPC: add --share NAME");
    if (texts.list) return Usage("--list shows a shared EPC: add --share NAME");
    return {};
  }
  return CheckShareName(options.share);
}

Status ReadSizes(const Texts& texts, Options& options) {
  if (texts.size.empty()) {
    if (options.verb == Verb::kRun) return Usage("--size is missing: for example --size 93MiB");
    return {};
  }
  TRY_ASSIGN(options.limit_bytes, ParseLimit("--size", texts.size));
  if (options.verb == Verb::kCalibrate && options.limit_bytes == kUnlimited) {
    return Usage("--calibrate swaps pages, which takes a limit: give --size 8MiB or leave it out");
  }
  if (!options.share.empty() && options.limit_bytes == kUnlimited) {
    return Usage("--share divides an EPC of some size: give --size 93MiB, say");
  }
  if (texts.quota.empty()) return {};
  TRY_ASSIGN(options.quota_bytes, ParseLimit("--quota", texts.quota));
  if (options.quota_bytes > options.limit_bytes) {
    return Usage(fmt::format("--quota {} is more than --size {}", texts.quota, texts.size));
  }
  return {};
}

Status CheckPage(const std::string& text) {
  TRY_ASSIGN(const uint64_t page_bytes, ParseBytes(text));
  if (page_bytes == kPageBytes) return {};
  return Usage(fmt::format(
      "--page {}: an EPC page is 4KiB, in hardware too; larger ones would be another machine",
      text));
}

Verb VerbOf(const Texts& texts, const Options& options) {
  if (texts.calibrate) return Verb::kCalibrate;
  if (options.results_fd >= 0) return Verb::kCalibrateInside;
  return texts.list ? Verb::kList : Verb::kRun;
}

}  // namespace

Result<uint64_t> ParseLimit(const std::string& option, const std::string& text) {
  if (text == "unlimited") return kUnlimited;
  const Result<uint64_t> bytes = ParseBytes(text);
  if (!bytes.ok()) return Usage(fmt::format("{}: {}", option, bytes.error().message));
  if (*bytes % kPageBytes != 0) {
    return Usage(fmt::format("{} {}: not a whole number of pages of 4KiB", option, text));
  }
  if (*bytes < kLimitBytesMin) {
    return Usage(
        fmt::format("{} {}: less than {}, which what cannot be evicted needs (writable "
                    "data, buffers in system calls)",
                    option, text, FormatBytes(kLimitBytesMin)));
  }
  return *bytes;
}

Result<Options> ParseOptions(int argc, char** argv) {
  Options options;
  Texts texts;
  CLI::App app(kAbout, "epcrun");
  app.formatter(std::make_shared<UsageLine>());
  app.footer(kExamples);
  app.prefix_command();
  Describe(app, texts, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    return Usage(error.what());
  }
  options.program = app.remaining();
  if (!options.program.empty() && options.program.front() == "--") {
    options.program.erase(options.program.begin());
  }
  options.verb = VerbOf(texts, options);
  options.summary = texts.quiet ? Summary::kNone : Summary::kPrint;
  TRY(CheckPage(texts.page));
  TRY(CheckShare(texts, options));
  TRY(ReadSizes(texts, options));
  if (options.verb == Verb::kRun && options.program.empty()) {
    return Usage("which program? epcrun --size 93MiB -- PROGRAM ARGUMENTS");
  }
  if (options.verb == Verb::kRun && options.program.front().starts_with("-")) {
    return Usage(
        fmt::format("no option {}; a program's arguments follow --", options.program.front()));
  }
  return options;
}

}  // namespace coracle::epc

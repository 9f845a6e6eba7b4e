// `coracle batch`: predicts every file of a folder within a budget of secure memory, resumably.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/answering.h"
#include "cmd/support/batch_inputs.h"
#include "cmd/support/batch_run.h"
#include "cmd/support/interruption.h"
#include "cmd/support/rate_line.h"
#include "cmd/support/result_file.h"
#include "cmd/support/sealed_file.h"
#include "crypto/owner_key.h"
#include "host/posix/clock.h"
#include "host/posix/threads.h"
#include "runtime/measure_rates.h"
#include "serve/scheduler.h"
#include "serve/sealed_model.h"
#include "vision/preprocess.h"

namespace coracle::cmd {
namespace {

constexpr char kModelName[] = "batch";
/// What "unlimited" is to the scheduler, which adds budgets up: more than any machine has.
constexpr uint64_t kUnlimitedBytes = uint64_t{1} << 50;
/// Of FILE.batch, and of what the lines say.
constexpr int kResultsVersion = 1;

struct BatchOptions {
  std::string path;
  std::string folder;
  std::string key;
  std::string memory = "unlimited";
  std::string output;
  uint32_t threads = 0;  // 0: all cores
  uint32_t top = 5;
};

/// Where the results go.
struct Destination {
  std::string lines_path;
  std::string tensors_folder;  ///< empty: tensors are not written
};

/// OUT.jsonl; DIR/ for DIR/results.jsonl and the tensors; or FOLDER.jsonl beside the inputs'
/// folder.
Result<Destination> ParseDestination(const BatchOptions& options, const BatchFolder& inputs) {
  if (options.output.empty()) return Destination{inputs.path + ".jsonl", ""};
  if (options.output.ends_with('/') || std::filesystem::is_directory(options.output)) {
    std::error_code failure;
    std::filesystem::create_directories(options.output, failure);
    if (failure) {
      return Error{Code::kUnavailable,
                   fmt::format("cannot make {}: {}", options.output, failure.message())};
    }
    if (std::filesystem::equivalent(options.output, inputs.path, failure)) {
      return Error{Code::kInvalidArgument,
                   "--output: name another folder than the one with the inputs"};
    }
    std::string folder = options.output;
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    return Destination{folder + "/results.jsonl", folder};
  }
  if (!options.output.ends_with(".jsonl")) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--output {}: give FILE.jsonl, or a folder DIR/", options.output)};
  }
  return Destination{options.output, ""};
}

/// What all lines of one file have in common. Memory, threads and convoys change no bit of them.
Json SubjectOf(const BatchOptions& options, const OpenedModel& opened, const BatchFolder& inputs,
               const Destination& destination) {
  return {{"version", kResultsVersion},
          {"model", crypto::Hex(opened.model->identity())},
          {"inputs", inputs.path},
          {"top", options.top},
          {"tensors", !destination.tensors_folder.empty()}};
}

/// A scheduler of one model, and what it stands on.
struct Service {
  host::PosixClock clock;
  host::PosixThreads threads;
  std::unique_ptr<serve::Scheduler> scheduler;
};

Result<std::unique_ptr<Service>> Serve(const OpenedModel& opened, uint64_t budget_bytes,
                                       uint32_t threads) {
  auto service = std::make_unique<Service>();
  serve::FrontSettings front;
  front.budget_bytes = budget_bytes;
  front.threads_max = threads;
  TRY_ASSIGN(front.rates, runtime::MeasureRates(service->clock));
  TRY_ASSIGN(auto model, serve::ServeSealedModel(kModelName, *opened.model, front));
  // What measuring and planning took is given back before pools are reserved.
  malloc_trim(0);
  serve::SchedulerSettings settings;
  settings.budget_bytes = budget_bytes;
  settings.cores = threads;
  TRY_ASSIGN(service->scheduler,
             serve::Scheduler::Create(settings, service->clock, service->threads));
  TRY(service->scheduler->Load(std::move(model), 1));
  return service;
}

/// All that is known before anything is planned.
struct Job {
  OpenedModel opened;
  BatchFolder inputs;
  vision::Preprocess preprocess;
  std::unique_ptr<Answering> answering;
  Destination destination;
  ResultFile results;
  std::vector<std::string> files;  ///< without a line yet

  const seal::Manifest& manifest() const { return opened.model->manifest(); }
  size_t answered() const { return inputs.files.size() - files.size(); }
};

Result<Job> Prepare(const BatchOptions& options) {
  TRY_ASSIGN(OpenedModel opened, OpenSealed(options.path, options.key, host::BlobAccess::kView));
  const seal::Manifest& manifest = opened.model->manifest();
  if (manifest.graph.inputs.size() != 1) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} takes {} inputs a prediction; batch gives it one file",
                             options.path, manifest.graph.inputs.size())};
  }
  TRY_ASSIGN(BatchFolder inputs, ListBatchFolder(options.folder));
  TRY_ASSIGN(const auto preprocess, vision::Preprocess::Parse(manifest.preprocess));
  TRY_ASSIGN(auto answering, Answering::Make(manifest, "", "", options.top));
  TRY_ASSIGN(Destination destination, ParseDestination(options, inputs));
  TRY_ASSIGN(ResultFile results, ResultFile::Open(destination.lines_path,
                                                  SubjectOf(options, opened, inputs, destination)));
  std::vector<std::string> files;
  std::ranges::copy_if(inputs.files, std::back_inserter(files),
                       [&](const std::string& file) { return !results.files().contains(file); });
  return Job{std::move(opened),      std::move(inputs),  preprocess,      std::move(answering),
             std::move(destination), std::move(results), std::move(files)};
}

struct Outcome {
  size_t answered = 0;  ///< now
  double seconds = 0;
  serve::SchedulerState state;
};

Result<Outcome> Execute(Job& job, serve::Scheduler& scheduler) {
  BatchSettings settings;
  settings.model = kModelName;
  settings.input_folder = job.inputs.path;
  settings.output_folder = job.destination.tensors_folder;
  BatchRun run(scheduler, job.manifest(), *job.answering, job.preprocess, job.results,
               std::move(settings));
  const Interruption interruption;
  RateLine progress(job.inputs.files.size(), job.answered());
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  TRY_ASSIGN(outcome.answered, run.Run(job.files, [&](size_t answered) {
    progress.Update(job.answered() + answered);
    return Interruption::signal_number() == 0;
  }));
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.state = scheduler.state();
  return outcome;
}

std::string Text(const Job& job, const Outcome& outcome, double rate) {
  const ResultFile& results = job.results;
  std::string text =
      fmt::format("{} inputs: {} answered in {:.1f} s ({:.1f} a second), {} before\n",
                  job.inputs.files.size(), outcome.answered, outcome.seconds, rate, job.answered());
  if (outcome.state.counts.convoys > 0) {
    text += fmt::format(
        "{:.1f} together on average; secure memory leased at most: {}\n",
        static_cast<double>(outcome.answered) / static_cast<double>(outcome.state.counts.convoys),
        FormatBytes(outcome.state.leased_peak_bytes));
  }
  if (job.inputs.passed_over > 0) {
    text += fmt::format("{} other entries of the folder passed over\n", job.inputs.passed_over);
  }
  if (results.error_count() == 0)
    return text + fmt::format("one line each in {}\n", results.path());
  return text +
         fmt::format("one line each in {}, of which {} say why the input could not be read\n",
                     results.path(), results.error_count());
}

Report Describe(const Job& job, const Outcome& outcome) {
  const double rate =
      outcome.seconds > 0 ? static_cast<double>(outcome.answered) / outcome.seconds : 0;
  Report report;
  report.json = {{"results", job.results.path()},
                 {"inputs", job.inputs.files.size()},
                 {"answered_before", job.answered()},
                 {"failed", job.results.error_count()},
                 {"passed_over", job.inputs.passed_over},
                 {"seconds", outcome.seconds},
                 {"per_second", rate},
                 {"convoys", outcome.state.counts.convoys},
                 {"leased_peak_bytes", outcome.state.leased_peak_bytes}};
  report.text = Text(job, outcome, rate);
  if (job.results.error_count() > 0) report.exit_code = kExitFailed;
  return report;
}

Result<Report> Batch(const BatchOptions& options) {
  TRY_ASSIGN(const uint64_t asked, ParseBudget(options.memory));
  TRY_ASSIGN(Job job, Prepare(options));
  if (job.files.empty()) return Describe(job, {});
  const uint32_t threads =
      options.threads > 0 ? options.threads
                          : std::clamp(std::thread::hardware_concurrency(), 1U, plan::kMaxThreads);
  Result<std::unique_ptr<Service>> service =
      Serve(job.opened, std::min(asked, kUnlimitedBytes), threads);
  if (!service.ok()) return OfFile(options.path, service.error());
  const Result<Outcome> outcome = Execute(job, *(*service)->scheduler);
  if (!outcome.ok()) return OfFile(options.path, outcome.error());
  if (outcome->answered == job.files.size()) return Describe(job, *outcome);
  return Error{
      Code::kUnavailable,
      fmt::format("stopped with {} of {} inputs answered in {}; the same command goes on",
                  job.answered() + outcome->answered, job.inputs.files.size(), job.results.path())};
}

}  // namespace

void AddBatch(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand(
      "batch", "Predict every file of a folder; a second call goes on where the first stopped");
  const auto options = std::make_shared<BatchOptions>();
  verb->add_option("SEALED", options->path, "The sealed model")->required();
  verb->add_option("DIR", options->folder,
                   "The inputs: images, .npy and .raw files (folders within are not entered)")
      ->required();
  verb->add_option("--key", options->key, "The owner key")->required();
  verb->add_option("--memory", options->memory, "Secure memory: 8MiB, ..., unlimited")
      ->capture_default_str();
  verb->add_option("--output", options->output,
                   "OUT.jsonl, one line an input; or OUT/ for OUT/results.jsonl and the output "
                   "tensors, OUT/FILE/NAME.npy (default: DIR.jsonl)");
  verb->add_option("--threads", options->threads, "Most workers at once (default: all cores)")
      ->check(CLI::Range(1U, plan::kMaxThreads));
  verb->add_option("--top", options->top, "How many classes a classifier's answer lists")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  verb->footer(
      "Lines come in the order in which predictions end. An input that cannot be read gets a line "
      "with its error, and the exit code is 1.\n"
      "Example:\n  coracle batch model.sealed photos/ --key owner.key --memory 93MiB --output "
      "answers.jsonl");
  console.Register(verb, [options] { return Batch(*options); });
}

}  // namespace coracle::cmd

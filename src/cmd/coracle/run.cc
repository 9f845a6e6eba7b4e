// `coracle run`: one prediction (or several, timed) within a budget of secure memory.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/answering.h"
#include "cmd/support/epc_mark.h"
#include "cmd/support/feeding.h"
#include "cmd/support/latencies.h"
#include "cmd/support/plan_options.h"
#include "cmd/support/prediction.h"
#include "cmd/support/process_memory.h"
#include "cmd/support/working_set.h"

namespace coracle::cmd {
namespace {

struct RunOptions {
  std::string path;
  std::string key;
  std::string memory = "unlimited";
  std::vector<std::string> inputs;
  std::string output;
  std::string draw;
  std::string blob = "view";
  std::string pin = "auto";
  uint32_t top = 5;
  uint32_t repeat = 1;
  uint32_t threads = 1;
  uint32_t batch = 1;
};

/// What repeated predictions came to.
struct Repeated {
  Latencies latencies;
  Measured last;
  std::optional<uint64_t> working_set_bytes;
};

Json MeasuredJson(const Repeated& repeated, uint64_t secure_rss_bytes, uint64_t outside_bytes) {
  const Measured& measured = repeated.last;
  const std::optional<uint64_t>& working_set = repeated.working_set_bytes;
  return {{"pool_peak_bytes", measured.stats.pool_peak_bytes},
          {"heap_peak_bytes", measured.heap_known ? Json(measured.heap_peak_bytes) : Json()},
          {"working_set_bytes", working_set.has_value() ? Json(*working_set) : Json()},
          {"secure_rss_bytes", secure_rss_bytes},
          {"decrypted_bytes", measured.stats.decrypted_bytes},
          {"decrypt_ms", static_cast<double>(measured.stats.decrypt_ns) / 1e6},
          {"spilled_bytes", measured.stats.spilled_bytes},
          {"transferred_bytes", measured.stats.transferred_bytes},
          {"outside_bytes", outside_bytes},
          {"host_calls", measured.stats.host_calls}};
}

std::string CostText(const plan::Plan& plan, const Repeated& repeated, uint64_t secure_rss) {
  const Measured& measured = repeated.last;
  const Latencies& latencies = repeated.latencies;
  std::string text = fmt::format(
      "budget {}: pool planned {}, used {}; heap during the run {}; touched beside the pool {}; "
      "resident {} in all\n"
      "{:.1f} ms{}, {} decrypted in {:.1f} ms, {} worker{}\n",
      FormatBudget(plan.budget_bytes), FormatBytes(plan.pool_bytes),
      FormatBytes(measured.stats.pool_peak_bytes),
      measured.heap_known ? FormatBytes(measured.heap_peak_bytes) : "unknown",
      repeated.working_set_bytes ? FormatBytes(*repeated.working_set_bytes) : "unknown",
      FormatBytes(secure_rss), latencies.Median(),
      latencies.ms.size() > 1 ? fmt::format(" (median of {}: {:.1f} to {:.1f})",
                                            latencies.ms.size(), latencies.Min(), latencies.Max())
                              : "",
      FormatBytes(measured.stats.decrypted_bytes),
      static_cast<double>(measured.stats.decrypt_ns) / 1e6, plan.threads,
      plan.threads == 1 ? "" : "s");
  if (plan.batch > 1) {
    text += fmt::format("{} inputs together: {:.1f} ms each\n", plan.batch,
                        latencies.Median() / plan.batch);
  }
  return text;
}

/// Feeds and predicts `times` times. The working set is that of all but the first prediction, which
/// also touches what is touched once (bindings of functions, decoding of pictures); of the only
/// one, if there is no other. Feeding counts.
Result<Repeated> Repeat(Feed& feed, Prediction& prediction, std::vector<Feed::Picture>& pictures,
                        uint32_t times) {
  Repeated repeated;
  repeated.latencies.ms.reserve(times);
  ProgressLine progress("predicting");
  std::optional<WorkingSet> touched;
  for (uint32_t i = 0; i < times; ++i) {
    if (i == std::min(times - 1, 1U)) touched.emplace();
    NoteForEpcrun(i, PredictionEdge::kBegin);
    TRY(feed.Fill(prediction.session(), pictures));
    TRY_ASSIGN(repeated.last, prediction.Run());
    NoteForEpcrun(i, PredictionEdge::kEnd);
    repeated.latencies.ms.push_back(repeated.last.latency_ms);
    if (times > 1) progress.Update(i + 1, times);
    if (i == 0) malloc_trim(0);  // what decoding pictures left behind
  }
  repeated.working_set_bytes = touched->Bytes(prediction.session().plan().pool_bytes);
  return repeated;
}

Result<Report> Run(const RunOptions& options) {
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  const host::BlobAccess access =
      options.blob == "read" ? host::BlobAccess::kRead : host::BlobAccess::kView;
  TRY_ASSIGN(const OpenedModel opened, OpenSealed(options.path, options.key, access));
  const seal::Manifest& manifest = opened.model->manifest();
  if (options.batch > 1 && !options.draw.empty()) {
    return Error{Code::kInvalidArgument, "--draw paints one answer: leave --batch out"};
  }
  TRY_ASSIGN(Feed feed, Feed::Parse(manifest, options.inputs, options.batch));
  if (options.repeat > 1) feed.KeepPictures();
  TRY_ASSIGN(const auto answering,
             Answering::Make(manifest, options.output, options.draw, options.top));
  TRY_ASSIGN(
      const auto prediction,
      Prediction::Make(opened, PlanRequestOf(budget, options.threads, options.pin, options.batch)));

  std::vector<Feed::Picture> pictures = feed.Pictures();
  TRY_ASSIGN(const Repeated repeated, Repeat(feed, *prediction, pictures, options.repeat));
  const uint64_t secure_rss =
      SecureResidentBytes(access == host::BlobAccess::kView ? opened.path : std::string());
  TRY_ASSIGN(Report report, answering->Describe(prediction->session(), pictures));
  const plan::Plan& plan = prediction->session().plan();
  report.json["latency_ms"] = {{"min", repeated.latencies.Min()},
                               {"median", repeated.latencies.Median()},
                               {"max", repeated.latencies.Max()}};
  report.json["budget_bytes"] = budget == UINT64_MAX ? Json() : Json(budget);
  report.json["plan"] = {{"pool_bytes", plan.pool_bytes},
                         {"workspace_bytes", plan.workspace_bytes},
                         {"steps", plan.steps.size()},
                         {"threads", plan.threads},
                         {"batch", plan.batch}};
  report.json["measured"] = MeasuredJson(
      repeated, secure_rss, prediction->session().outside_bytes() + feed.outside_bytes());
  report.text += CostText(plan, repeated, secure_rss);
  return report;
}

}  // namespace

void AddRun(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand("run", "Predict once within a budget of secure memory");
  const auto options = std::make_shared<RunOptions>();
  verb->add_option("SEALED", options->path, "The sealed model")->required();
  verb->add_option("--key", options->key, "The owner key")->required();
  verb->add_option("--memory", options->memory, "Secure memory: 8MiB, ..., unlimited")
      ->capture_default_str();
  verb->add_option(
          "--input", options->inputs,
          "An image, .npy or .raw file, or NAME=FILE; once for each input (with --batch N, N "
          "times)")
      ->required()
      ->allow_extra_args(false);
  verb->add_option("--output", options->output,
                   "Write the output here: FILE.npy, or DIR/ for one file an output");
  verb->add_option("--top", options->top, "How many classes a classifier's answer lists")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  verb->add_option("--draw", options->draw, "Paint the answer on the image: out.png");
  verb->add_option("--repeat", options->repeat, "Predict so many times and give the spread")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "Most workers that a step may use")
      ->check(CLI::Range(1U, plan::kMaxThreads))
      ->capture_default_str();
  verb->add_option("--blob", options->blob,
                   "How ciphertext is reached: view (mapped) or read (one call a chunk)")
      ->check(CLI::IsMember({"view", "read"}))
      ->capture_default_str();
  AddPinOption(verb, options->pin);
  AddBatchOption(verb, options->batch);
  verb->footer(
      "Example:\n  coracle run model.sealed --key owner.key --memory 8MiB --input photo.jpg --top "
      "3");
  console.Register(verb, [options] { return Run(*options); });
}

}  // namespace coracle::cmd

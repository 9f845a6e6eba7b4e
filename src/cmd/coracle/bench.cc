// `coracle bench`: the same network on each engine, one process each, taking turns in one run.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/epc_mark.h"
#include "cmd/support/latencies.h"
#include "cmd/support/line_child.h"
#include "cmd/support/physical_limit.h"
#include "cmd/support/plan_options.h"
#include "cmd/support/prediction.h"
#include "cmd/support/process_memory.h"
#include "cmd/support/working_set.h"
#include "host/posix/clock.h"
#include "runtime/measure_rates.h"

namespace coracle::cmd {
namespace {

struct BenchOptions {
  ModelArgument model;
  std::string memory = "unlimited";
  std::string against;
  std::string ort_library;
  std::string pin = "auto";
  uint32_t threads = 1;
  uint32_t batch = 1;
  uint32_t rounds = 0;
  double seconds = 5;
  bool beside_exact = false;
};

/// A sealed model under measurement.
struct SealedModel {
  std::string path;
  std::string key;
  std::string name = "coracle";
};

/// What is under measurement, and for how long the momentary seals must live.
struct Models {
  std::vector<SealedModel> in_budgets;
  std::optional<SealedModel> fp32;  ///< --against fp32
  std::vector<std::unique_ptr<MomentarySeal>> momentary;
};

/// One engine under measurement.
struct Entrant {
  std::string engine;
  uint64_t budget_bytes = UINT64_MAX;
  std::unique_ptr<LineChild> child;
  Latencies latencies;
  Json memory;
};

/// What the machine reached while the engines took turns: each a median over rounds.
struct MachinePace {
  Latencies fma_gflops;
  Latencies aead_gbps;
  Latencies read_gbps;

  Status Sample(host::Clock& clock) {
    const runtime::MachinePeaks peaks = runtime::MeasurePeaks(clock);
    TRY_ASSIGN(const plan::MachineRates rates, runtime::MeasureRates(clock));
    fma_gflops.ms.push_back(peaks.fma_gflops);
    read_gbps.ms.push_back(peaks.read_gbps);
    aead_gbps.ms.push_back(rates.aead_gbps);
    return {};
  }
  runtime::MachinePeaks Peaks() const { return {fma_gflops.Median(), read_gbps.Median()}; }
};

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> items;
  size_t start = 0;
  while (start <= text.size() && !text.empty()) {
    const size_t comma = std::min(text.find(',', start), text.size());
    items.push_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return items;
}

Result<Entrant> StartOurs(const SealedModel& sealed, uint64_t budget, const std::string& pin,
                          const BenchOptions& options) {
  Entrant entrant;
  entrant.engine = sealed.name;
  entrant.budget_bytes = budget;
  const std::string memory = budget == UINT64_MAX ? "unlimited" : std::to_string(budget);
  TRY_ASSIGN(entrant.child,
             LineChild::Start(ProgramFolder() + "/coracle",
                              {"bench-worker", sealed.path, "--key", sealed.key, "--memory", memory,
                               "--threads", std::to_string(options.threads), "--batch",
                               std::to_string(options.batch), "--pin", pin}));
  return entrant;
}

Result<std::string> FindOrt(const BenchOptions& options) {
  if (!options.ort_library.empty()) return options.ort_library;
  if (const char* const set = std::getenv("CORACLE_ORT_LIBRARY"); set != nullptr)
    return std::string(set);
  const std::string fetched = ProgramFolder() + "/../../assets/ort/libonnxruntime.so.1";
  if (std::filesystem::exists(fetched)) return fetched;
  return Error{Code::kNotFound,
               "--against ort needs libonnxruntime.so.1: run tools/fetch_assets ort, or give "
               "--ort-library FILE"};
}

Result<Entrant> StartOrt(const BenchOptions& options) {
  if (!options.model.path.ends_with(".onnx")) {
    return Error{Code::kInvalidArgument, "--against ort needs MODEL to be the .onnx file"};
  }
  TRY_ASSIGN(const std::string library, FindOrt(options));
  std::vector<std::string> arguments = {"--library", library,
                                        "--model",   options.model.path,
                                        "--threads", std::to_string(options.threads),
                                        "--batch",   std::to_string(options.batch),
                                        "--serve"};
  for (const std::string& shape : options.model.seal_options.shapes) {
    arguments.emplace_back("--shape");
    arguments.push_back(shape);
  }
  Entrant entrant;
  entrant.engine = "onnxruntime";
  TRY_ASSIGN(entrant.child, LineChild::Start(ProgramFolder() + "/bench/ort_host", arguments));
  return entrant;
}

Result<Entrant> StartDarknet(const BenchOptions& options) {
  if (!options.model.path.ends_with(".cfg")) {
    return Error{Code::kInvalidArgument, "--against darknet needs MODEL to be the .cfg file"};
  }
  if (options.batch > 1) {
    return Error{Code::kInvalidArgument, "--against darknet takes one input at a time: --batch 1"};
  }
  Entrant entrant;
  entrant.engine = "darknet";
  TRY_ASSIGN(entrant.child, LineChild::Start(ProgramFolder() + "/bench/darknet_host",
                                             {"--cfg", options.model.path, "--weights",
                                              options.model.seal_options.weights_file, "--threads",
                                              std::to_string(options.threads), "--serve"}));
  return entrant;
}

Result<std::vector<Entrant>> StartAll(const BenchOptions& options, const Models& models) {
  std::vector<Entrant> entrants;
  for (const std::string& engine : SplitList(options.against)) {
    if (engine == "ort") {
      TRY_ASSIGN(Entrant entrant, StartOrt(options));
      entrants.push_back(std::move(entrant));
    } else if (engine == "darknet") {
      TRY_ASSIGN(Entrant entrant, StartDarknet(options));
      entrants.push_back(std::move(entrant));
    } else if (engine == "fp32") {
      TRY_ASSIGN(Entrant entrant, StartOurs(*models.fp32, UINT64_MAX, "auto", options));
      entrants.push_back(std::move(entrant));
    } else {
      return Error{Code::kInvalidArgument,
                   fmt::format("--against {}: engines for whole networks are fp32, ort and darknet",
                               engine)};
    }
  }
  for (const std::string& memory : SplitList(options.memory)) {
    TRY_ASSIGN(const uint64_t budget, ParseBudget(memory));
    for (const SealedModel& sealed : models.in_budgets) {
      TRY_ASSIGN(Entrant entrant, StartOurs(sealed, budget, options.pin, options));
      entrants.push_back(std::move(entrant));
    }
  }
  for (Entrant& entrant : entrants) {
    TRY(entrant.child->Ask(""));  // ready
    entrant.child->Suspend();
  }
  return entrants;
}

/// Milliseconds of one input.
Result<double> TimeOnce(Entrant& entrant, uint32_t batch) {
  TRY_ASSIGN(const Json answer, entrant.child->Ask("run"));
  entrant.child->Suspend();
  if (!answer.contains("ms")) {
    return Error{Code::kUnavailable, fmt::format("{} failed: {}", entrant.engine, answer.dump())};
  }
  return answer["ms"].get<double>() / batch;
}

/// Rounds in which everyone runs once, in turn; the first, unmeasured one warms up. The machine's
/// pace is sampled between some of them.
Status Race(std::vector<Entrant>& entrants, const BenchOptions& options, MachinePace& pace) {
  constexpr uint32_t kSamples = 16;
  host::PosixClock clock;
  double round_ms = 0;
  for (Entrant& entrant : entrants) {
    TRY_ASSIGN(const double ms, TimeOnce(entrant, options.batch));
    round_ms += ms * options.batch;
  }
  const uint32_t rounds =
      options.rounds > 0
          ? options.rounds
          : static_cast<uint32_t>(std::clamp(options.seconds * 1000 / round_ms, 5.0, 200.0));
  ProgressLine progress("measuring");
  for (uint32_t round = 0; round < rounds; ++round) {
    if (round % ((rounds + kSamples - 1) / kSamples) == 0) TRY(pace.Sample(clock));
    for (Entrant& entrant : entrants) {
      TRY_ASSIGN(const double ms, TimeOnce(entrant, options.batch));
      entrant.latencies.ms.push_back(ms);
    }
    progress.Update(round + 1, rounds);
  }
  for (Entrant& entrant : entrants) {
    TRY_ASSIGN(entrant.memory, entrant.child->Ask("rss"));
  }
  return {};
}

/// Median over rounds of the engine's time over the first engine's in the same round: a machine
/// that changes its pace from round to round does not blur it.
double RatioTo(const Entrant& first, const Entrant& entrant) {
  Latencies ratios;
  for (size_t round = 0; round < first.latencies.ms.size(); ++round) {
    ratios.ms.push_back(entrant.latencies.ms[round] / first.latencies.ms[round]);
  }
  return ratios.Median();
}

/// The limit of one input (null for engines that do not say what they compute).
Json LimitJson(const Entrant& entrant, const BenchOptions& options, const MachinePace& pace) {
  if (!entrant.memory.contains("multiply_adds")) return {};
  const PhysicalWork work{.multiply_adds = entrant.memory["multiply_adds"].get<uint64_t>(),
                          .opened_bytes = (entrant.memory["decrypted_bytes"].get<uint64_t>() +
                                           entrant.memory["spilled_bytes"].get<uint64_t>()) /
                                          options.batch};
  return LimitMs(work, pace.Peaks(), pace.aead_gbps.Median(), options.threads);
}

/// Times and decrypted bytes are those of one input.
Json RunJson(const Entrant& entrant, const Entrant& first, const BenchOptions& options,
             const MachinePace& pace) {
  Json json = {
      {"engine", entrant.engine},
      {"budget_bytes", entrant.budget_bytes == UINT64_MAX ? Json() : Json(entrant.budget_bytes)},
      {"threads", options.threads},
      {"batch", options.batch},
      {"median_ms", entrant.latencies.Median()},
      {"min_ms", entrant.latencies.Min()},
      {"rounds", entrant.latencies.ms.size()},
      {"ratio_to_first", RatioTo(first, entrant)},
      {"limit_ms", LimitJson(entrant, options, pace)}};
  const auto copy = [&](const char* from, const char* to) {
    if (entrant.memory.contains(from)) json[to] = entrant.memory[from];
  };
  copy("rss_bytes", "secure_rss_bytes");
  copy("hwm_bytes", "peak_rss_bytes");
  copy("plan_bytes", "plan_bytes");
  copy("pool_peak_bytes", "pool_peak_bytes");
  if (entrant.memory.contains("decrypted_bytes")) {
    json["decrypted_bytes"] = entrant.memory["decrypted_bytes"].get<uint64_t>() / options.batch;
  }
  return json;
}

std::string RunRow(const Json& run) {
  const auto bytes = [&run](const char* key) {
    return run.contains(key) ? FormatBytes(run[key].get<uint64_t>()) : std::string("-");
  };
  const bool unlimited = run["budget_bytes"].is_null();
  const bool ours = run.contains("plan_bytes");
  const std::string budget = !ours       ? "-"
                             : unlimited ? "unlimited"
                                         : FormatBytes(run["budget_bytes"].get<uint64_t>());
  const std::string limit =
      run["limit_ms"].is_null() ? "-" : fmt::format("{:.2f}", run["limit_ms"].get<double>());
  return fmt::format(
      "{:<13} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10.2f} {:>10.2f} {:>9} {:>7.2f}\n",
      run["engine"].get<std::string>(), budget, bytes("plan_bytes"), bytes("pool_peak_bytes"),
      bytes("secure_rss_bytes"), bytes("decrypted_bytes"), run["median_ms"].get<double>(),
      run["min_ms"].get<double>(), limit, run["ratio_to_first"].get<double>());
}

Result<SealedModel> SealForNow(const std::string& path, const SealOptions& seal_options,
                               std::string name, Models& models) {
  TRY_ASSIGN(auto momentary, MomentarySeal::Make(path, seal_options));
  models.momentary.push_back(std::move(momentary));
  const MomentarySeal& made = *models.momentary.back();
  return SealedModel{made.sealed_path(), made.key_path(), std::move(name)};
}

Result<Models> SealModels(const BenchOptions& options) {
  const std::string& path = options.model.path;
  const std::vector<std::string> others = SplitList(options.against);
  const bool beside_fp32 = std::ranges::find(others, "fp32") != others.end();
  Models models;
  if (!IsPlainModel(path)) {
    if (options.beside_exact || beside_fp32) {
      return Error{Code::kInvalidArgument,
                   "--beside-exact and --against fp32 need MODEL to be a .onnx or .cfg file"};
    }
    models.in_budgets.push_back({path, options.model.key_path});
    return models;
  }
  SealOptions seal_options = options.model.seal_options;
  TRY_ASSIGN(SealedModel sealed, SealForNow(path, seal_options, "coracle", models));
  models.in_budgets.push_back(std::move(sealed));
  if (beside_fp32) {
    SealOptions fp32 = seal_options;
    fp32.weights = "fp32";
    TRY_ASSIGN(models.fp32, SealForNow(path, fp32, "coracle fp32", models));
  }
  if (options.beside_exact) {
    seal_options.exact = true;
    TRY_ASSIGN(SealedModel exact, SealForNow(path, seal_options, "coracle exact", models));
    models.in_budgets.push_back(std::move(exact));
  }
  return models;
}

Result<Report> Bench(const BenchOptions& options) {
  TRY_ASSIGN(const Models models, SealModels(options));
  TRY_ASSIGN(std::vector<Entrant> entrants, StartAll(options, models));
  if (entrants.empty()) return Error{Code::kInvalidArgument, "nothing to measure: give --memory"};
  MachinePace pace;
  TRY(Race(entrants, options, pace));
  Report report;
  report.json["runs"] = Json::array();
  report.text = fmt::format("{:<13} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>7}\n",
                            "engine", "budget", "planned", "used", "resident", "decrypted",
                            "median ms", "min ms", "limit ms", "ratio");
  for (const Entrant& entrant : entrants) {
    report.json["runs"].push_back(RunJson(entrant, entrants.front(), options, pace));
    report.text += RunRow(report.json["runs"].back());
  }
  const runtime::MachinePeaks peaks = pace.Peaks();
  const double aead_gbps = pace.aead_gbps.Median();
  report.json["machine"] = {
      {"fma_gflops", peaks.fma_gflops}, {"aead_gbps", aead_gbps}, {"read_gbps", peaks.read_gbps}};
  report.text += fmt::format(
      "one core here: {:.0f} GFLOP/s, opens {:.1f} GB/s, reads {:.1f} GB/s; {} worker{}, {} "
      "rounds{}\n",
      peaks.fma_gflops, aead_gbps, peaks.read_gbps, options.threads,
      options.threads == 1 ? "" : "s", entrants.front().latencies.ms.size(),
      options.batch == 1
          ? ""
          : fmt::format("; {} inputs together, times and decrypted bytes of each", options.batch));
  return report;
}

struct WorkerOptions {
  std::string path;
  std::string key;
  std::string memory = "unlimited";
  std::string pin = "auto";
  uint32_t threads = 1;
  uint32_t batch = 1;
};

/// What workers share out differs a little from one prediction to the next.
constexpr uint32_t kWorkingSetPredictions = 4;

/// Speaks the reference hosts' protocol: ready, then `run` and `rss` as they are asked; and
/// `working_set`, some more predictions, answered by what they touched beside the pool.
Result<Report> ServeBench(const WorkerOptions& options) {
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  TRY_ASSIGN(const OpenedModel opened,
             OpenSealed(options.path, options.key, host::BlobAccess::kView));
  TRY_ASSIGN(
      const auto prediction,
      Prediction::Make(opened, PlanRequestOf(budget, options.threads, options.pin, options.batch)));
  std::cout << R"({"ready":true})"
            << std::endl;  // NOLINT(performance-avoid-endl): the parent waits for it
  const uint64_t multiply_adds = ArithmeticOf(opened.model->manifest().graph);
  const uint64_t pool_bytes = prediction->session().plan().pool_bytes;
  Measured measured;
  uint64_t predictions = 0;
  const auto run = [&]() -> Status {
    NoteForEpcrun(predictions, PredictionEdge::kBegin);
    TRY(prediction->FillWithNoise());
    TRY_ASSIGN(measured, prediction->Run());
    NoteForEpcrun(predictions++, PredictionEdge::kEnd);
    return {};
  };
  std::string line;
  while (std::getline(std::cin, line) && line != "quit") {
    Json answer;
    if (line == "run") {
      TRY(run());
      answer = {{"ms", measured.latency_ms}};
    } else if (line == "working_set") {
      const WorkingSet touched;
      for (uint32_t i = 0; i < kWorkingSetPredictions; ++i) TRY(run());
      const std::optional<uint64_t> bytes = touched.Bytes(pool_bytes);
      answer = {{"working_set_bytes", bytes ? Json(*bytes) : Json()}};
    } else {
      answer = {{"rss_bytes", SecureResidentBytes(opened.path)},
                {"plan_bytes", pool_bytes},
                {"pool_peak_bytes", measured.stats.pool_peak_bytes},
                {"multiply_adds", multiply_adds},
                {"decrypted_bytes", measured.stats.decrypted_bytes},
                {"spilled_bytes", measured.stats.spilled_bytes}};
    }
    std::cout << answer.dump()
              << std::endl;  // NOLINT(performance-avoid-endl): the parent waits for it
  }
  return Report{};
}

void AddBenchWorker(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("bench-worker", "One engine of `coracle bench`")->group("");
  const auto options = std::make_shared<WorkerOptions>();
  verb->add_option("SEALED", options->path)->required();
  verb->add_option("--key", options->key)->required();
  verb->add_option("--memory", options->memory);
  verb->add_option("--threads", options->threads);
  AddPinOption(verb, options->pin);
  AddBatchOption(verb, options->batch);
  console.Register(verb, [options] { return ServeBench(*options); });
}

}  // namespace

void AddBench(CLI::App& app, Console& console) {
  AddBenchWorker(app, console);
  CLI::App* const verb = app.add_subcommand(
      "bench", "Time the same network in budgets and on other engines, interleaved");
  const auto options = std::make_shared<BenchOptions>();
  verb->add_option("MODEL", options->model.path,
                   "A .onnx, a .cfg with --weights-file, or a sealed model")
      ->required();
  verb->add_option("--memory", options->memory, "Budgets: 4MiB,8MiB,unlimited")
      ->capture_default_str();
  verb->add_option(
      "--against", options->against,
      "What else runs, without protection: ort, darknet; or fp32: the same network with fp32 "
      "weights, all kept open in unlimited memory");
  verb->add_option("--threads", options->threads, "Threads of every engine")
      ->check(CLI::Range(1U, plan::kMaxThreads))
      ->capture_default_str();
  AddPinOption(verb, options->pin);
  AddBatchOption(verb, options->batch);
  verb->add_flag("--beside-exact", options->beside_exact,
                 "Also the model sealed with --exact, in each budget");
  verb->add_option("--rounds", options->rounds, "Rounds (default: about --seconds)");
  verb->add_option("--seconds", options->seconds, "About how long to measure")
      ->capture_default_str();
  verb->add_option("--key", options->model.key_path, "The owner key of a sealed model");
  verb->add_option("--ort-library", options->ort_library,
                   "libonnxruntime.so.1 (default: as tools/fetch_assets leaves it)");
  AddSealOptions(verb, options->model.seal_options);
  verb->footer("Example:\n  coracle bench model.onnx --memory 8MiB,unlimited --against ort");
  console.Register(verb, [options] { return Bench(*options); });
}

}  // namespace coracle::cmd

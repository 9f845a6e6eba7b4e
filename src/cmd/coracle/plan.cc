// `coracle plan`: the plan for a budget, as a table, a timeline, JSON and a page.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/budget_curve.h"
#include "cmd/support/describe_plan.h"
#include "cmd/support/page_file.h"
#include "cmd/support/plan_options.h"
#include "cmd/support/plan_page.h"
#include "cmd/support/plan_timeline.h"
#include "cmd/support/prediction.h"
#include "cmd/support/sealed_file.h"
#include "host/posix/clock.h"
#include "plan/planner.h"
#include "runtime/measure_rates.h"

namespace coracle::cmd {
namespace {

constexpr int kTimelineColumns = 100;
constexpr int kMeasuredRuns = 7;

struct PlanOptions {
  ModelArgument model;
  std::string memory = "unlimited";
  std::string report;
  std::string pin = "auto";
  uint32_t threads = 1;
  uint32_t batch = 1;
  bool sweep = false;
  bool measure = false;
};

/// What was measured beside the predictions.
struct Measurement {
  std::vector<double> step_ms;  ///< by step
  double total_ms = 0;
};

/// Runs the plan on noise; of each step its fastest run. What the machine's pace was before and
/// after a run is taken out, since the rates were measured at another one.
Result<Measurement> Measure(const OpenedModel& opened, const plan::Plan& plan,
                            const plan::MachineRates& rates) {
  host::PosixClock clock;
  TRY_ASSIGN(const auto prediction, Prediction::Make(opened, plan));
  Measurement best;
  for (int run = 0; run < kMeasuredRuns; ++run) {
    TRY(prediction->FillWithNoise());
    const double before = runtime::MeasurePace(clock, rates);
    TRY(prediction->Run());
    const double pace = (before + runtime::MeasurePace(clock, rates)) / 2;
    const std::span<const uint64_t> step_ns = prediction->session().step_ns();
    Measurement now;
    for (const uint64_t ns : step_ns) {
      now.step_ms.push_back(static_cast<double>(ns) * 1e-6 / pace);
      now.total_ms += now.step_ms.back();
    }
    if (run == 0) best = now;  // the first also opens pinned weights and warms everything up
    best.total_ms = std::min(best.total_ms, now.total_ms);
    for (size_t i = 0; i < now.step_ms.size(); ++i) {
      best.step_ms[i] = std::min(best.step_ms[i], now.step_ms[i]);
    }
  }
  return best;
}

Json RatesJson(const plan::MachineRates& rates) {
  return {{"fma_gflops", rates.fma_gflops},
          {"dot8_gops", rates.dot8_gops},
          {"tile_ns", rates.tile_ns},
          {"window_ns", rates.window_ns},
          {"call_ns", rates.call_ns},
          {"depthwise_ns", rates.depthwise_ns},
          {"vector_ns", rates.vector_ns},
          {"pixel_ns", rates.pixel_ns},
          {"exponential_ns", rates.exponential_ns},
          {"activation_gbps", rates.activation_gbps},
          {"weight_gbps", rates.weight_gbps},
          {"aead_gbps", rates.aead_gbps},
          {"open_ns", rates.open_ns}};
}

struct Findings {
  plan::Plan plan;
  plan::MachineRates rates;
  uint64_t least_bytes = 0;
  uint64_t single_pass_bytes = 0;
  double plan_ms = 0;
  std::optional<Measurement> measured;
  std::vector<CurvePoint> curve;
};

Report Describe(const graph::Graph& graph, const std::string& model, const Findings& found) {
  const plan::Plan& plan = found.plan;
  std::span<const double> measured_ms;
  if (found.measured) measured_ms = found.measured->step_ms;
  Report report;
  report.json = {
      {"model", model.substr(model.find_last_of('/') + 1)},
      {"budget_bytes", plan.budget_bytes == plan::kUnlimited ? Json() : Json(plan.budget_bytes)},
      {"least_budget_bytes", found.least_bytes},
      {"single_pass_budget_bytes", found.single_pass_bytes},
      {"live_load_bound_bytes", plan.live_load_bound_bytes},
      {"pool_bytes", plan.pool_bytes},
      {"workspace_bytes", plan.workspace_bytes},
      {"pinned_bytes", plan.pinned_bytes},
      {"threads", plan.threads},
      {"batch", plan.batch},
      {"predicted_ms", plan.predicted_ms},
      {"predicted_ms_per_input", plan::PredictedMsPerInput(plan)},
      {"plan_ms", found.plan_ms},
      {"rates", RatesJson(found.rates)},
      {"steps", StepsJson(graph, plan, measured_ms)},
      {"buffers", BuffersJson(graph, plan)}};
  if (found.measured) report.json["measured_ms"] = found.measured->total_ms;
  if (!found.curve.empty()) report.json["sweep"] = CurveJson(found.curve);
  report.text =
      StepTable(graph, plan, measured_ms) + "\n" + PlanTimeline(report.json, kTimelineColumns);
  report.text += fmt::format(
      "\npool {} of {} (no packing of these steps needs less than {}; slots, held weights and "
      "workspaces {}; pinned {})\n"
      "least budget {}, each weight opened once from {}; planned in {:.1f} ms\n"
      "predicted {:.2f} ms{} at {:.0f} GFLOP/s, opening {:.1f} GB/s\n",
      FormatBytes(plan.pool_bytes), FormatBudget(plan.budget_bytes),
      FormatBytes(plan.live_load_bound_bytes), FormatBytes(plan.workspace_bytes),
      FormatBytes(plan.pinned_bytes), FormatBytes(found.least_bytes),
      FormatBytes(found.single_pass_bytes), found.plan_ms, plan.predicted_ms,
      found.measured
          ? fmt::format(", measured {:.2f} ms (at the pace of the rates)", found.measured->total_ms)
          : "",
      found.rates.fma_gflops, found.rates.aead_gbps);
  if (plan.batch > 1) {
    report.text += fmt::format(
        "{} inputs together: predicted {:.2f} ms each{}\n", plan.batch,
        plan::PredictedMsPerInput(plan),
        found.measured ? fmt::format(", measured {:.2f} ms", found.measured->total_ms / plan.batch)
                       : "");
  }
  if (!found.curve.empty()) report.text += "\n" + CurveTable(found.curve);
  return report;
}

Result<Report> Plan(const PlanOptions& options) {
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  TRY_ASSIGN(const OpenedArgument opened, OpenArgument(options.model, host::BlobAccess::kView));
  const graph::Graph& graph = opened.opened.model->manifest().graph;
  Findings found;
  host::PosixClock clock;
  TRY_ASSIGN(found.rates, runtime::MeasureRates(clock));
  const plan::Pinning pinning =
      PlanRequestOf(budget, options.threads, options.pin, options.batch).pinning;
  TRY_ASSIGN(const graph::Convoy convoy, graph::Convoy::Make(graph, options.batch));
  const auto start = std::chrono::steady_clock::now();
  plan::Planner planner(convoy, found.rates, options.threads);
  TRY_ASSIGN(found.plan, planner.Make(budget, pinning, plan::Passes::kAny));
  found.plan_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  found.least_bytes = planner.Least(plan::Passes::kAny).pool_bytes;
  found.single_pass_bytes = planner.Least(plan::Passes::kSingle).pool_bytes;
  if (options.measure) {
    TRY_ASSIGN(found.measured, Measure(opened.opened, found.plan, found.rates));
  }
  if (options.sweep || !options.report.empty()) {
    ProgressLine progress("planning");
    TRY_ASSIGN(found.curve, BudgetCurve(planner, pinning, [&](uint64_t done, uint64_t total) {
                 progress.Update(done, total);
               }));
  }
  Report report = Describe(graph, options.model.path, found);
  if (!options.report.empty()) {
    TRY(WritePage(options.report, PlanPage(report.json)));
    report.text += fmt::format("the page is {}\n", options.report);
  }
  return report;
}

}  // namespace

void AddPlan(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("plan", "Plan a model for a budget, or refuse with what it needs");
  const auto options = std::make_shared<PlanOptions>();
  verb->add_option("MODEL", options->model.path,
                   "A sealed model, .onnx, or .cfg with --weights-file")
      ->required();
  verb->add_option("--memory", options->memory, "Secure memory: 8MiB, ..., unlimited")
      ->capture_default_str();
  verb->add_option("--key", options->model.key_path, "The owner key of a sealed model");
  verb->add_option("--threads", options->threads, "Most workers that a step may use")
      ->check(CLI::Range(1U, plan::kMaxThreads))
      ->capture_default_str();
  AddPinOption(verb, options->pin);
  AddBatchOption(verb, options->batch);
  verb->add_flag("--sweep", options->sweep, "Also print the curve from the least budget up");
  verb->add_flag("--measure", options->measure,
                 "Run the plan on noise and print measured beside predicted times");
  verb->add_option("--report", options->report,
                   "Write a page with the memory map, the curve and the steps: plan.html");
  AddSealOptions(verb, options->model.seal_options);
  verb->footer(
      "Example:\n  coracle plan model.sealed --key owner.key --memory 8MiB --measure\n  coracle "
      "plan model.onnx --memory 12MiB --report plan.html");
  console.Register(verb, [options] { return Plan(*options); });
}

}  // namespace coracle::cmd

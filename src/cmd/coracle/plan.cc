#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/describe.h"
#include "cmd/support/machine_rates.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {
namespace {

struct PlanOptions {
  ModelArgument model;
  std::string memory = "unlimited";
  uint32_t threads = 1;
  bool sweep = false;
};

struct SweepPoint {
  uint64_t budget_bytes;
  double predicted_ms;
};

/// The curve budget -> time, from the least budget up to the one that changes nothing any more.
Result<std::vector<SweepPoint>> Sweep(const graph::Graph& graph, plan::PlanRequest request,
                                      uint64_t least) {
  request.budget_bytes = plan::kUnlimited;
  TRY_ASSIGN(const plan::Plan unlimited, plan::MakePlan(graph, request));
  std::vector<SweepPoint> points;
  const uint64_t most = std::max(unlimited.pool_bytes, least);
  constexpr int kPoints = 12;
  for (int i = 0; i <= kPoints; ++i) {
    const uint64_t budget = least + (most - least) * static_cast<uint64_t>(i) / kPoints;
    if (!points.empty() && points.back().budget_bytes == budget) continue;
    request.budget_bytes = budget;
    TRY_ASSIGN(const plan::Plan plan, plan::MakePlan(graph, request));
    points.push_back({budget, plan.predicted_ms});
  }
  return points;
}

bool OpensEachWeightOnce(const plan::Plan& plan) {
  return std::ranges::none_of(plan.steps, [](const plan::Step& step) {
    return step.form == plan::Form::kBand && step.weights == plan::WeightsMode::kStreamed;
  });
}

/// The least budget whose plan opens each weight once (nothing is ever recomputed or spilled).
Result<uint64_t> SinglePassBudget(const graph::Graph& graph, plan::PlanRequest request,
                                  uint64_t least) {
  request.threads = 1;
  request.budget_bytes = plan::kUnlimited;
  TRY_ASSIGN(const plan::Plan unlimited, plan::MakePlan(graph, request));
  uint64_t refused = least - 1;
  uint64_t enough = std::max(least, unlimited.pool_bytes);
  while (enough - refused > 1) {
    request.budget_bytes = refused + (enough - refused) / 2;
    TRY_ASSIGN(const plan::Plan plan, plan::MakePlan(graph, request));
    (OpensEachWeightOnce(plan) ? enough : refused) = request.budget_bytes;
  }
  return enough;
}

Report Describe(const graph::Graph& graph, const plan::Plan& plan, uint64_t least_bytes,
                uint64_t single_pass_bytes, double plan_ms) {
  Report report;
  report.json = {
      {"budget_bytes", plan.budget_bytes == plan::kUnlimited ? Json() : Json(plan.budget_bytes)},
      {"least_budget_bytes", least_bytes},
      {"single_pass_budget_bytes", single_pass_bytes},
      {"live_load_bound_bytes", plan.live_load_bound_bytes},
      {"pool_bytes", plan.pool_bytes},
      {"workspace_bytes", plan.workspace_bytes},
      {"threads", plan.threads},
      {"predicted_ms", plan.predicted_ms},
      {"plan_ms", plan_ms},
      {"steps", StepsJson(graph, plan)}};
  report.text = StepTable(graph, plan);
  report.text += fmt::format(
      "pool {} of {} (slots and workspace {}; no packing of these steps needs less than {})\n"
      "least budget {}, each weight opened once from {}; predicted {:.1f} ms; planned in {:.1f} "
      "ms\n",
      FormatBytes(plan.pool_bytes), FormatBudget(plan.budget_bytes),
      FormatBytes(plan.workspace_bytes), FormatBytes(plan.live_load_bound_bytes),
      FormatBytes(least_bytes), FormatBytes(single_pass_bytes), plan.predicted_ms, plan_ms);
  return report;
}

Result<Report> Plan(const PlanOptions& options) {
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  TRY_ASSIGN(const OpenedArgument opened, OpenArgument(options.model, host::BlobAccess::kView));
  const graph::Graph& graph = opened.opened.model->manifest().graph;
  const plan::PlanRequest request{budget, options.threads, MeasureRates().plan};
  const auto start = std::chrono::steady_clock::now();
  TRY_ASSIGN(const plan::Plan plan, plan::MakePlan(graph, request));
  const double plan_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  const uint64_t least = plan::FindLeastBudget(graph).bytes;
  TRY_ASSIGN(const uint64_t single_pass, SinglePassBudget(graph, request, least));
  Report report = Describe(graph, plan, least, single_pass, plan_ms);
  if (!options.sweep) return report;
  TRY_ASSIGN(const std::vector<SweepPoint> points, Sweep(graph, request, least));
  report.json["sweep"] = Json::array();
  report.text += "\nbudget        predicted\n";
  for (const SweepPoint& point : points) {
    report.json["sweep"].push_back(
        {{"budget_bytes", point.budget_bytes}, {"predicted_ms", point.predicted_ms}});
    report.text +=
        fmt::format("{:>10} {:>9.1f} ms\n", FormatBytes(point.budget_bytes), point.predicted_ms);
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
  verb->add_flag("--sweep", options->sweep, "Also print the curve from the least budget up");
  AddSealOptions(verb, options->model.seal_options);
  verb->footer(
      "Example:\n  coracle plan model.sealed --key owner.key --memory 8MiB\n  coracle plan "
      "model.onnx --memory 12MiB --sweep");
  console.Register(verb, [options] { return Plan(*options); });
}

}  // namespace coracle::cmd

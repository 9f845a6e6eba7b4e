#include "cmd/characterize/sealed.h"

#include <array>
#include <fstream>
#include <string_view>

#include "cmd/characterize/handed_prediction.h"
#include "cmd/characterize/layers_text.h"
#include "cmd/characterize/measured.h"
#include "cmd/characterize/text.h"
#include "cmd/characterize/tracing.h"
#include "cmd/support/describe_plan.h"
#include "cmd/support/plan_options.h"
#include "cmd/support/scratch_folder.h"
#include "cmd/support/sealed_file.h"
#include "host/posix/clock.h"
#include "runtime/measure_rates.h"
#include "seal/format.h"

namespace coracle::cmd {
namespace {

/// The one after the first, which opens pinned weights and touches what is touched once.
constexpr uint32_t kSteadyPrediction = 1;

Json PlanJson(const graph::Graph& graph, const plan::Plan& plan) {
  return {
      {"budget_bytes", plan.budget_bytes == plan::kUnlimited ? Json() : Json(plan.budget_bytes)},
      {"pool_bytes", plan.pool_bytes},
      {"workspace_bytes", plan.workspace_bytes},
      {"pinned_bytes", plan.pinned_bytes},
      {"predicted_ms", plan.predicted_ms},
      {"steps", StepsJson(graph, plan)}};
}

Status CheckOptions(const CharacterizeOptions& options) {
  if (options.model.empty()) return {};
  return Error{Code::kInvalidArgument,
               "--model says what a program runs; a sealed model is its own: leave it out"};
}

}  // namespace

bool NamesSealedModel(const CharacterizeOptions& options) {
  if (options.program.size() != 1) return false;
  std::ifstream file(options.program[0], std::ios::binary);
  std::array<char, seal::kMagic.size()> begin{};
  return file.read(begin.data(), begin.size()) &&
         std::string_view(begin.data(), begin.size()) == seal::kMagic;
}

Result<SealedTrace> PrepareSealedTrace(const CharacterizeOptions& options,
                                       const std::string& scratch) {
  HandedPrediction handed;
  handed.model = options.program[0];
  handed.key = options.key;
  handed.predictions = kSteadyPrediction + 1;
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  TRY_ASSIGN(const OpenedModel opened,
             OpenSealed(handed.model, handed.key, host::BlobAccess::kView));
  const seal::Manifest& manifest = opened.model->manifest();
  plan::PlanRequest request = PlanRequestOf(budget, options.threads, options.pin, /*batch=*/1);
  host::PosixClock clock;
  TRY_ASSIGN(request.rates, runtime::MeasureRates(clock));
  TRY_ASSIGN(handed.plan, plan::MakePlan(manifest.graph, request));
  TRY_ASSIGN(handed.inputs, WriteTensors(manifest, options.inputs, scratch));
  if (handed.inputs != options.inputs) handed.sources = options.inputs;
  const std::string path = scratch + "/prediction.json";
  TRY(handed.Write(path));
  return SealedTrace{{ProgramFolder() + "/coracle-characterize", "characterize-worker", path},
                     2 * kSteadyPrediction,
                     2 * kSteadyPrediction + 1,
                     PlanJson(manifest.graph, handed.plan)};
}

Status RenewInputs(const CharacterizeOptions& options, const std::string& scratch) {
  TRY_ASSIGN(const OpenedModel opened,
             OpenSealed(options.program[0], options.key, host::BlobAccess::kView));
  TRY(WriteTensors(opened.model->manifest(), options.inputs, scratch));
  return {};
}

Result<Report> CharacterizeSealed(const CharacterizeOptions& options) {
  TRY(CheckOptions(options));
  TRY_ASSIGN(const auto scratch, ScratchFolder::Make());
  TRY_ASSIGN(SealedTrace sealed, PrepareSealedTrace(options, scratch->path()));
  CharacterizeOptions traced = options;
  traced.from_mark = options.from_mark.value_or(sealed.from_mark);
  traced.to_mark = options.to_mark.value_or(sealed.to_mark);
  TRY_ASSIGN(const auto outcome, Trace(traced, sealed.command));
  if (outcome.signal == 0 && outcome.exit_code != 0) {
    return Error{Code::kUnavailable, options.program[0] + ": the traced prediction failed (above)"};
  }
  Report report;
  report.json = DescribeTrace(sealed.command, outcome);
  report.json["program"] = options.program[0];
  report.json["arguments"] = Json::array();
  report.json["plan"] = std::move(sealed.plan);
  report.exit_code = outcome.exit_code;
  if (options.measure) TRY(MeasureUnderEpcrun(traced, sealed.command, report.json));
  report.text = LayersText(report.json) + CharacterizationText(report.json);
  return report;
}

}  // namespace coracle::cmd

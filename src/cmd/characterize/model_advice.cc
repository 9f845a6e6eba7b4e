#include "cmd/characterize/model_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/units.h"
#include "characterize/advice/advice.h"
#include "cmd/characterize/buffer_roles.h"
#include "cmd/characterize/planned_model.h"
#include "cmd/characterize/planned_text.h"
#include "cmd/characterize/sealed.h"
#include "cmd/characterize/tracing.h"
#include "cmd/support/scratch_folder.h"

namespace coracle::cmd {
namespace {

using characterize::Advice;

/// What --memory says; 0: nothing in particular.
Result<uint64_t> BudgetOf(const CharacterizeOptions& options) {
  TRY_ASSIGN(const uint64_t budget, ParseBudget(options.memory));
  return budget == plan::kUnlimited ? 0 : budget;
}

struct TracedPlan {
  Json findings;
  uint64_t pool_bytes = 0;
};

/// One steady prediction of the sealed model, planned for `budget_bytes`, under the same tracer.
Result<TracedPlan> TracePlan(CharacterizeOptions options, const OpenedArgument& argument,
                             uint64_t budget_bytes) {
  const MomentarySeal* const momentary = argument.momentary.get();
  options.program = {momentary == nullptr ? argument.opened.path : momentary->sealed_path()};
  if (momentary != nullptr) options.key = momentary->key_path();
  options.model.clear();
  options.memory = fmt::format("{}B", budget_bytes);
  options.pin = "none";
  options.threads = 1;
  TRY_ASSIGN(const auto scratch, ScratchFolder::Make());
  TRY_ASSIGN(const SealedTrace trace, PrepareSealedTrace(options, scratch->path()));
  options.from_mark = trace.from_mark;
  options.to_mark = trace.to_mark;
  TRY_ASSIGN(const characterize::TraceOutcome outcome, Trace(options, trace.command));
  if (outcome.exit_code != 0 || !outcome.findings.at("complete").get<bool>()) {
    return Error{Code::kUnavailable, "the planned model " + Ending(outcome)};
  }
  return TracedPlan{outcome.findings, trace.plan.at("pool_bytes").get<uint64_t>()};
}

Json ModelJson(const ModelProfile& profile, const PlannedModel& planned, const RolesFound& found) {
  return {
      {"name", profile.name},
      {"layers", ProfileJson(profile)},
      {"single_pass_bytes", planned.single_pass_bytes()},
      {"least_bytes", planned.least_bytes()},
      {"unplanned_bytes", planned.unplanned_bytes()},
      {"recognized",
       {{"objects", found.objects}, {"bytes", found.bytes}, {"bytes_of_all", found.bytes_of_all}}}};
}

}  // namespace

Result<std::unique_ptr<ModelAdvice>> ModelAdvice::Make(const CharacterizeOptions& options) {
  std::unique_ptr<ModelAdvice> advice(new ModelAdvice(options));
  ModelArgument argument{options.model, options.key, {}};
  argument.seal_options.weights_file = options.weights_file;
  TRY_ASSIGN(advice->argument_, OpenArgument(argument, host::BlobAccess::kView));
  advice->profile_ = ProfileOf(advice->argument_.opened.model->manifest().graph,
                               std::filesystem::path(options.model).filename().string());
  std::error_code ignored;
  const std::string& file = options.weights_file.empty() ? options.model : options.weights_file;
  advice->file_bytes_ = std::filesystem::file_size(file, ignored);
  if (ignored) advice->file_bytes_ = 0;
  TRY(BudgetOf(options));
  return advice;
}

Status ModelAdvice::Complete(Json& report) const {
  RolesFound found;
  if (report.contains("objects")) found = AssignRoles(profile_, file_bytes_, report["objects"]);
  TRY_ASSIGN(const uint64_t budget, BudgetOf(options_));
  TRY_ASSIGN(const PlannedModel planned,
             PlannedModel::Make(argument_.opened.model->manifest().graph, budget));
  report["model"] = ModelJson(profile_, planned, found);
  const std::vector<Advice> advice = characterize::Advise(report);
  Json json = characterize::AdviceJson(advice);
  const PlannedText text(profile_, planned, report);
  for (size_t i = 0; i < advice.size(); ++i) {
    if (const std::string what = text.About(advice[i]); !what.empty()) json[i]["planned"] = what;
  }
  json.insert(json.begin(), text.PlanAdvice());
  Result<TracedPlan> traced = Error{Code::kUnavailable, "the trace of the program is not complete"};
  if (report.at("complete").get<bool>()) {
    traced = TracePlan(options_, argument_, planned.budget_bytes());
  }
  if (traced.ok()) {
    const Json& after = traced.value().findings;
    json[0]["checked"] = text.CheckedPlan(after, traced.value().pool_bytes);
    for (size_t i = 0; i < advice.size(); ++i) {
      if (!json[i + 1].contains("planned")) continue;
      json[i + 1]["checked"] = text.CheckedBuffers(advice[i], after);
    }
  } else {
    report["model"]["not_checked"] = traced.error().message;
  }
  report["advice"] = std::move(json);
  return {};
}

}  // namespace coracle::cmd

#include "cmd/support/compare_worker.h"

#include <iostream>
#include <utility>
#include <vector>

#include "cmd/support/answering.h"
#include "cmd/support/feeding.h"
#include "cmd/support/plan_options.h"
#include "cmd/support/prediction.h"
#include "cmd/support/process_memory.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {
namespace {

/// A model ready to predict.
class Worker {
 public:
  static Result<std::unique_ptr<Worker>> Make(const ComparedModel::Arguments& arguments) {
    auto worker = std::make_unique<Worker>();
    TRY_ASSIGN(const uint64_t budget, ParseBudget(arguments.memory));
    TRY_ASSIGN(worker->opened_, OpenSealed(arguments.path, arguments.key, host::BlobAccess::kView));
    TRY_ASSIGN(worker->prediction_,
               Prediction::Make(worker->opened_,
                                PlanRequestOf(budget, arguments.threads, "auto", /*batch=*/1)));
    TRY_ASSIGN(worker->answering_,
               Answering::Make(worker->manifest(), arguments.folder + "/", "", /*top=*/1));
    return worker;
  }

  Result<Json> Answer(const std::string& line) {
    if (line == "rss") {
      return Json{{"resident_bytes", SecureResidentBytes(opened_.path)},
                  {"pool_bytes", prediction_->session().plan().pool_bytes}};
    }
    const Json path = Json::parse(line, nullptr, false);
    if (!path.is_string()) return Error{Code::kMalformed, "compare-worker: not a path"};
    return Predict(path.get<std::string>());
  }

 private:
  const seal::Manifest& manifest() const { return opened_.model->manifest(); }

  Result<Json> Predict(const std::string& path) {
    TRY_ASSIGN(Feed feed,
               Feed::Parse(manifest(), {manifest().graph.inputs[0].name + "=" + path}, 1));
    std::vector<Feed::Picture> pictures = feed.Pictures();
    TRY(feed.Fill(prediction_->session(), pictures));
    TRY_ASSIGN(const Measured measured, prediction_->Run());
    TRY_ASSIGN(Report report, answering_->Describe(prediction_->session(), pictures));
    report.json["ms"] = measured.latency_ms;
    return std::move(report.json);
  }

  OpenedModel opened_;
  std::unique_ptr<Prediction> prediction_;
  std::unique_ptr<Answering> answering_;
};

void Say(const Result<Json>& answer) {
  const Json json = answer.ok() ? *answer
                                : Json{{"error",
                                        {{"usage", answer.error().code == Code::kInvalidArgument},
                                         {"message", answer.error().message}}}};
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace)
            << std::endl;  // NOLINT(performance-avoid-endl): the parent waits for it
}

Result<Report> Serve(const ComparedModel::Arguments& arguments) {
  Result<std::unique_ptr<Worker>> worker = Worker::Make(arguments);
  if (!worker.ok()) {
    Say(std::move(worker).error());
    return Report{};
  }
  Say(Json{{"ready", true}});
  std::string line;
  while (std::getline(std::cin, line)) Say((*worker)->Answer(line));
  return Report{};
}

}  // namespace

void AddCompareWorker(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("compare-worker", "One model of `coracle compare`")->group("");
  const auto arguments = std::make_shared<ComparedModel::Arguments>();
  verb->add_option("SEALED", arguments->path)->required();
  verb->add_option("--key", arguments->key)->required();
  verb->add_option("--memory", arguments->memory)->required();
  verb->add_option("--threads", arguments->threads)->required();
  verb->add_option("--folder", arguments->folder)->required();
  console.Register(verb, [arguments] { return Serve(*arguments); });
}

Result<std::unique_ptr<ComparedModel>> ComparedModel::Start(const Arguments& arguments) {
  TRY_ASSIGN(auto child,
             LineChild::Start(ProgramFolder() + "/coracle",
                              {"compare-worker", arguments.path, "--key", arguments.key, "--memory",
                               arguments.memory, "--threads", std::to_string(arguments.threads),
                               "--folder", arguments.folder}));
  std::unique_ptr<ComparedModel> model(new ComparedModel(std::move(child)));
  TRY(model->Ask(""));  // ready
  return model;
}

Result<Json> ComparedModel::Predict(const std::string& input) {
  return Ask(Json(input).dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<Json> ComparedModel::Ask(const std::string& line) {
  TRY_ASSIGN(Json answer, child_->Ask(line));
  child_->Suspend();
  if (!answer.contains("error")) return answer;
  const Json& error = answer["error"];
  return Error{error["usage"].get<bool>() ? Code::kInvalidArgument : Code::kUnavailable,
               error["message"].get<std::string>()};
}

}  // namespace coracle::cmd

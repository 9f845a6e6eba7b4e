#include "cmd/support/batch_run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "cmd/support/scratch_folder.h"
#include "host/posix/clock.h"
#include "host/posix/threads.h"
#include "runtime/sealed_graph_for_test.h"
#include "serve/sealed_model.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr uint32_t kSize = 21;
const Shape kShape{1, 3, kSize, kSize};

/// Hands out failures instead of outputs from the Nth answer on.
class FailingModel final : public serve::ServedModel {
 public:
  FailingModel(std::unique_ptr<serve::ServedModel> model, uint32_t good_runs)
      : model_(std::move(model)), good_runs_(good_runs) {}
  const std::string& name() const override { return model_->name(); }
  std::span<const serve::PlanChoice> choices() const override { return model_->choices(); }
  uint64_t loaded_bytes() const override { return model_->loaded_bytes(); }
  Result<std::unique_ptr<serve::Runner>> Start(uint32_t choice) override {
    TRY_ASSIGN(auto runner, model_->Start(choice));
    return std::unique_ptr<serve::Runner>(
        std::make_unique<FailingRunner>(*this, std::move(runner)));
  }

 private:
  class FailingRunner final : public serve::Runner {
   public:
    FailingRunner(FailingModel& model, std::unique_ptr<serve::Runner> runner)
        : model_(model), runner_(std::move(runner)) {}
    serve::InputSink& input(uint32_t index) override { return runner_->input(index); }
    const serve::OutputSource& output(uint32_t index) const override {
      return runner_->output(index);
    }
    Status Run() override {
      if (model_.runs_++ >= model_.good_runs_) return Error{Code::kTampered, "not authentic"};
      return runner_->Run();
    }

   private:
    FailingModel& model_;
    std::unique_ptr<serve::Runner> runner_;
  };

  std::unique_ptr<serve::ServedModel> model_;
  const uint32_t good_runs_;
  std::atomic<uint32_t> runs_{0};
};

class BatchRunTest : public testing::Test {
 protected:
  void Start(uint32_t good_runs) {
    serve::FrontSettings front;
    front.budget_bytes = plan::kUnlimited;
    front.batch_max = 4;
    auto model = serve::ServeSealedModel("m", *sealed_.model, front);
    ASSERT_TRUE(model.ok());
    serve::SchedulerSettings settings;
    settings.budget_bytes = uint64_t{64} << 20;
    settings.cores = 2;
    scheduler_ = serve::Scheduler::Create(settings, clock_, threads_).value();
    const Status loaded =
        scheduler_->Load(std::make_unique<FailingModel>(std::move(model).value(), good_runs), 1);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  }

  std::vector<std::string> WriteInputs(uint32_t count) const {
    std::vector<std::string> names;
    for (uint32_t i = 0; i < count; ++i) {
      names.push_back("x" + std::to_string(i) + ".npy");
      auto writer = vision::NpyWriter::Create(folder_->path() + "/" + names.back(), kShape).value();
      std::vector<float> values = runtime::TestInput(kShape.Elements() + i);
      values.erase(values.begin(), values.begin() + i);
      EXPECT_TRUE(writer.Append(values).ok() && writer.Finish().ok());
    }
    return names;
  }

  std::string lines_path() const { return folder_->path() + "/out.jsonl"; }
  ResultFile Results() const { return ResultFile::Open(lines_path(), {{"model", "m"}}).value(); }

  Result<size_t> Run(ResultFile& results, const std::vector<std::string>& files,
                     const std::function<bool(size_t)>& progress) {
    const auto answering = Answering::Make(sealed_.model->manifest(), "", "", 5).value();
    const vision::Preprocess preprocess;
    BatchSettings settings;
    settings.model = "m";
    settings.input_folder = folder_->path();
    settings.waiting_max = 8;
    BatchRun run(*scheduler_, sealed_.model->manifest(), *answering, preprocess, results, settings);
    return run.Run(files, progress);
  }

  /// By file.
  std::map<std::string, Json> Lines() const {
    std::map<std::string, Json> lines;
    std::ifstream file(lines_path());
    for (std::string text; std::getline(file, text);) {
      const Json line = Json::parse(text);
      EXPECT_TRUE(lines.emplace(line["file"].get<std::string>(), line).second) << text;
    }
    return lines;
  }

  const std::unique_ptr<ScratchFolder> folder_ = ScratchFolder::Make().value();
  const runtime::SealedGraph sealed_ =
      runtime::SealInMemory(runtime::MakeTestGraph(kSize, 7), host::BlobAccess::kView);
  host::PosixClock clock_;
  host::PosixThreads threads_;
  std::unique_ptr<serve::Scheduler> scheduler_;
};

bool GoOn(size_t /*answered*/) { return true; }

TEST_F(BatchRunTest, OneLineForEachInput) {
  Start(UINT32_MAX);
  std::vector<std::string> files = WriteInputs(50);
  std::ofstream(folder_->path() + "/bad.npy") << "no tensor";
  files.push_back("bad.npy");
  files.push_back("missing.npy");
  ResultFile results = Results();
  const auto end = Run(results, files, GoOn);
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(*end, files.size());
  EXPECT_EQ(results.error_count(), 2U);
  const auto lines = Lines();
  EXPECT_EQ(lines.size(), files.size());
  EXPECT_TRUE(lines.at("bad.npy").contains("error"));
  EXPECT_TRUE(lines.at("missing.npy").contains("error"));
  EXPECT_EQ(lines.at("x7.npy").at("outputs").size(), 1U);
}

TEST_F(BatchRunTest, StopsAndGoesOn) {
  Start(UINT32_MAX);
  const std::vector<std::string> files = WriteInputs(60);
  {
    ResultFile results = Results();
    const auto end = Run(results, files, [](size_t answered) { return answered < 5; });
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(*end, results.files().size());
    EXPECT_GE(results.files().size(), 5U);
    EXPECT_LT(results.files().size(), 60U);
  }
  ResultFile results = Results();
  std::vector<std::string> left;
  for (const std::string& file : files) {
    if (!results.files().contains(file)) left.push_back(file);
  }
  EXPECT_EQ(left.size(), files.size() - results.files().size());
  const auto end = Run(results, left, GoOn);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(*end, left.size());
  EXPECT_EQ(Lines().size(), files.size());
}

TEST_F(BatchRunTest, AModelThatFailsEndsTheBatch) {
  Start(2);
  const std::vector<std::string> files = WriteInputs(40);
  ResultFile results = Results();
  const auto end = Run(results, files, GoOn);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code, Code::kTampered);
  EXPECT_LT(Lines().size(), files.size());
  EXPECT_EQ(results.error_count(), 0U);
}

}  // namespace
}  // namespace coracle::cmd

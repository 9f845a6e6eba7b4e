#include "serve/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "host/posix/clock.h"
#include "host/posix/threads.h"
#include "serve/test_models.h"

namespace coracle::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMs = 1'000'000;

/// The answers to requests by the number that each carries. Threads: any.
class Answers {
 public:
  struct Answer {
    Status status;
    float value = 0;
  };

  Request Ask(const std::string& model, int number) {
    Request request;
    request.model = model;
    request.write_inputs = [number](InputSink& sink) -> Status {
      const auto value = static_cast<float>(number);
      sink.Write(0, 0, {&value, 1});
      return {};
    };
    request.done = [this, number](const Status& status, const OutputSource* outputs) {
      Answer answer{status};
      EXPECT_EQ(status.ok(), outputs != nullptr);
      if (outputs != nullptr) {
        EXPECT_TRUE(outputs->Read(0, 0, {&answer.value, 1}).ok());
      }
      const std::lock_guard<std::mutex> lock(mutex_);
      EXPECT_TRUE(answers_.emplace(number, std::move(answer)).second) << "answered twice";
      changed_.notify_all();
    };
    return request;
  }
  Answer Await(int number) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return answers_.contains(number); });
    return answers_.at(number);
  }
  bool Has(int number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return answers_.contains(number);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, Answer> answers_;
};

class SchedulerTest : public ::testing::Test {
 protected:
  void Create(uint64_t budget_mib, uint32_t cores) {
    SchedulerSettings settings;
    settings.budget_bytes = budget_mib * kMiB;
    settings.cores = cores;
    settings.model_queue_max = 20;
    memory_ = std::make_unique<TestMemory>(settings.budget_bytes);
    auto scheduler = Scheduler::Create(settings, clock_, threads_);
    ASSERT_TRUE(scheduler.ok());
    scheduler_ = std::move(*scheduler);
  }
  void TearDown() override {
    scheduler_.reset();
    if (memory_ == nullptr) return;
    EXPECT_EQ(memory_->live_bytes(), 0U);
    EXPECT_EQ(memory_->exceeded(), 0U);
  }
  Status Load(TestModelSettings settings) {
    auto model = std::make_unique<TestModel>(std::move(settings), *memory_);
    TestModel* const loaded = model.get();
    TRY(scheduler_->Load(std::move(model), 1));
    loaded->CountLoaded();
    return {};
  }
  /// A model whose runs wait for the gate.
  TestModelSettings Gated(std::vector<PlanChoice> choices) {
    TestModelSettings settings;
    settings.choices = std::move(choices);
    settings.on_run = [this](uint32_t written) -> Status {
      convoys_.push_back(written);
      running_.store(static_cast<uint32_t>(convoys_.size()));
      running_.notify_all();
      gate_.Pass();
      return {};
    };
    return settings;
  }
  /// Returns once `count` runs have begun (on one core).
  void AwaitRuns(uint32_t count) {
    for (uint32_t seen = running_.load(); seen < count; seen = running_.load()) running_.wait(seen);
  }
  RequestId Submit(int number) {
    auto id = scheduler_->Submit(answers_.Ask("m", number));
    EXPECT_TRUE(id.ok());
    return *id;
  }

  host::PosixClock clock_;
  host::PosixThreads threads_;
  std::unique_ptr<TestMemory> memory_;
  TestGate gate_;
  std::vector<uint32_t> convoys_;
  std::atomic<uint32_t> running_{0};
  Answers answers_;
  std::unique_ptr<Scheduler> scheduler_;
};

const PlanChoice kOne{.batch = 1, .threads = 1, .bytes = 10 * kMiB, .predicted_ms = 40};
const PlanChoice kSixteen{.batch = 16, .threads = 1, .bytes = 50 * kMiB, .predicted_ms = 300};

TEST_F(SchedulerTest, EachRequestGetsTheOutputsOfItsOwnInputs) {
  Create(93, 2);
  TestModelSettings settings;
  settings.choices = {kOne, kSixteen};
  settings.loaded_bytes = kMiB;
  ASSERT_TRUE(Load(settings).ok());
  for (int base = 0; base < 200; base += 20) {
    for (int i = 0; i < 20; ++i) Submit(base + i);
    for (int i = 0; i < 20; ++i) {
      const auto answer = answers_.Await(base + i);
      ASSERT_TRUE(answer.status.ok());
      EXPECT_EQ(answer.value, static_cast<float>(2 * (base + i) + 1));
    }
  }
  const SchedulerState state = scheduler_->state();
  EXPECT_EQ(state.counts.submitted, 200U);
  EXPECT_EQ(state.counts.answered, 200U);
  EXPECT_LT(state.counts.convoys, 200U);
  EXPECT_EQ(state.waiting, 0U);
  EXPECT_LE(state.leased_peak_bytes, state.budget_bytes);
}

TEST_F(SchedulerTest, WhatWaitsTogetherRunsAsOneConvoy) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne, kSixteen})).ok());
  Submit(0);
  AwaitRuns(1);
  for (int i = 1; i <= 12; ++i) Submit(i);
  EXPECT_EQ(scheduler_->state().waiting, 12U);
  EXPECT_EQ(scheduler_->state().running, 1U);
  EXPECT_GT(scheduler_->state().backlog_ms, 12 * 300 / 16);
  gate_.Open();
  for (int i = 0; i <= 12; ++i) EXPECT_TRUE(answers_.Await(i).status.ok());
  EXPECT_THAT(convoys_, ElementsAre(1, 12));
}

TEST_F(SchedulerTest, AnInputThatFailsFailsAlone) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kSixteen})).ok());
  Submit(0);
  AwaitRuns(1);
  Request bad = answers_.Ask("m", 1);
  bad.write_inputs = [](InputSink&) { return Error{Code::kMalformed, "not an image"}; };
  ASSERT_TRUE(scheduler_->Submit(std::move(bad)).ok());
  Submit(2);
  gate_.Open();
  EXPECT_EQ(answers_.Await(1).status.error().code, Code::kMalformed);
  EXPECT_EQ(answers_.Await(2).value, 5);
  EXPECT_EQ(scheduler_->state().counts.failed, 1U);
}

TEST_F(SchedulerTest, ATamperedRunFailsItsRequestsAndItsRunnerGoes) {
  Create(93, 1);
  std::atomic<bool> is_tampered{true};
  TestModelSettings settings;
  settings.choices = {kSixteen};
  settings.on_run = [&](uint32_t) -> Status {
    if (is_tampered) return Error{Code::kTampered, "weights"};
    return {};
  };
  ASSERT_TRUE(Load(settings).ok());
  Submit(0);
  EXPECT_EQ(answers_.Await(0).status.error().code, Code::kTampered);
  is_tampered = false;
  Submit(1);
  EXPECT_TRUE(answers_.Await(1).status.ok());
  EXPECT_EQ(scheduler_->state().counts.runners_started, 2U);
  EXPECT_EQ(scheduler_->state().counts.failed, 1U);
  EXPECT_EQ(scheduler_->state().counts.answered, 1U);
}

TEST_F(SchedulerTest, ARunnerThatDoesNotStartFailsItsRequests) {
  Create(93, 1);
  TestModelSettings settings;
  settings.choices = {kSixteen};
  settings.on_start = [] { return Error{Code::kUnavailable, "no memory"}; };
  ASSERT_TRUE(Load(settings).ok());
  Submit(0);
  EXPECT_EQ(answers_.Await(0).status.error().message, "no memory");
  EXPECT_EQ(scheduler_->state().counts.runners_started, 0U);
}

TEST_F(SchedulerTest, CancelAnswersWhatWaitsAndOnlyThat) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  const RequestId runs = Submit(0);
  AwaitRuns(1);
  const RequestId waits = Submit(1);
  EXPECT_FALSE(scheduler_->Cancel(runs));
  EXPECT_TRUE(scheduler_->Cancel(waits));
  ASSERT_TRUE(answers_.Has(1));
  EXPECT_EQ(answers_.Await(1).status.error().code, Code::kUnavailable);
  EXPECT_EQ(answers_.Await(1).status.error().message, "cancelled");
  EXPECT_FALSE(scheduler_->Cancel(waits));
  gate_.Open();
  EXPECT_TRUE(answers_.Await(0).status.ok());
}

TEST_F(SchedulerTest, DeadlinesAreToldWhileEveryWorkerIsBusy) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  Submit(0);
  AwaitRuns(1);
  Request late = answers_.Ask("m", 1);
  late.deadline_ns = clock_.NowNanoseconds() + 5 * kMs;
  ASSERT_TRUE(scheduler_->Submit(std::move(late)).ok());
  EXPECT_THAT(answers_.Await(1).status.error().message, HasSubstr("deadline"));
  EXPECT_FALSE(answers_.Has(0));
  EXPECT_EQ(scheduler_->state().counts.expired, 1U);
  gate_.Open();
  EXPECT_TRUE(answers_.Await(0).status.ok());
}

TEST_F(SchedulerTest, CallbacksMaySubmitAndCancel) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  Request first = answers_.Ask("m", 0);
  RequestId doomed{};
  const auto answer = first.done;
  first.done = [&, answer](const Status& status, const OutputSource* outputs) {
    EXPECT_TRUE(scheduler_->Cancel(doomed));
    Submit(2);
    answer(status, outputs);
  };
  ASSERT_TRUE(scheduler_->Submit(std::move(first)).ok());
  AwaitRuns(1);
  doomed = Submit(1);
  gate_.Open();
  EXPECT_TRUE(answers_.Await(2).status.ok());
  EXPECT_FALSE(answers_.Await(1).status.ok());
  EXPECT_TRUE(answers_.Await(0).status.ok());
}

TEST_F(SchedulerTest, UnloadAnswersWhatWaitsAndAwaitsWhatRuns) {
  Create(93, 1);
  TestModelSettings settings = Gated({kOne});
  settings.loaded_bytes = 3 * kMiB;
  ASSERT_TRUE(Load(settings).ok());
  Submit(0);
  AwaitRuns(1);
  Submit(1);
  auto opener = threads_.Start([&] {
    EXPECT_THAT(answers_.Await(1).status.error().message, HasSubstr("unloaded"));
    EXPECT_FALSE(answers_.Has(0));
    gate_.Open();
  });
  ASSERT_TRUE(opener.ok());
  ASSERT_TRUE(scheduler_->Unload("m").ok());
  EXPECT_TRUE(answers_.Has(0));
  EXPECT_TRUE(answers_.Await(0).status.ok());
  EXPECT_EQ(memory_->live_bytes(), 0U);
  EXPECT_EQ(scheduler_->state().leased_bytes, 0U);
  EXPECT_EQ(scheduler_->Unload("m").error().code, Code::kNotFound);
  EXPECT_EQ(scheduler_->Submit(answers_.Ask("m", 2)).error().code, Code::kNotFound);
  ASSERT_TRUE(Load(settings).ok());
  Submit(3);
  EXPECT_TRUE(answers_.Await(3).status.ok());
}

TEST_F(SchedulerTest, LoadTakesTheBytesOfRunnersThatIdle) {
  Create(50, 1);
  TestModelSettings settings;
  settings.choices = {{.batch = 1, .threads = 1, .bytes = 30 * kMiB, .predicted_ms = 1}};
  ASSERT_TRUE(Load(settings).ok());
  Submit(0);
  ASSERT_TRUE(answers_.Await(0).status.ok());
  settings.name = "n";
  settings.loaded_bytes = 20 * kMiB;
  ASSERT_TRUE(Load(settings).ok());
  settings.name = "o";
  const Status refused = Load(settings);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kOutOfBudget);
  EXPECT_EQ(Load(settings).error().code, Code::kOutOfBudget);
}

TEST_F(SchedulerTest, DestructionAnswersWhatWaitsAndAwaitsWhatRuns) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  Submit(0);
  AwaitRuns(1);
  Request again = answers_.Ask("m", 1);
  const auto answer = again.done;
  Scheduler* const scheduler = scheduler_.get();
  again.done = [&, answer, scheduler](const Status& status, const OutputSource* outputs) {
    EXPECT_EQ(scheduler->Submit(answers_.Ask("m", 2)).error().code, Code::kUnavailable);
    answer(status, outputs);
    gate_.Open();
  };
  ASSERT_TRUE(scheduler_->Submit(std::move(again)).ok());
  scheduler_.reset();
  ASSERT_TRUE(answers_.Has(0));
  ASSERT_TRUE(answers_.Has(1));
  EXPECT_TRUE(answers_.Await(0).status.ok());
  EXPECT_THAT(answers_.Await(1).status.error().message, HasSubstr("stopping"));
  EXPECT_FALSE(answers_.Has(2));
}

TEST_F(SchedulerTest, FullQueuesRefuse) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  Submit(0);
  AwaitRuns(1);
  for (int i = 1; i <= 20; ++i) Submit(i);
  const auto refused = scheduler_->Submit(answers_.Ask("m", 21));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("try again in 0.8"));
  EXPECT_EQ(scheduler_->state().counts.refused, 1U);
  gate_.Open();
  for (int i = 0; i <= 20; ++i) EXPECT_TRUE(answers_.Await(i).status.ok());
  EXPECT_FALSE(answers_.Has(21));
}

TEST_F(SchedulerTest, RequestsWithoutCallbacksAreRefused) {
  Create(93, 1);
  ASSERT_TRUE(Load(Gated({kOne})).ok());
  Request request = answers_.Ask("m", 0);
  request.write_inputs = nullptr;
  EXPECT_EQ(scheduler_->Submit(std::move(request)).error().code, Code::kInvalidArgument);
}

TEST(SchedulerCreateTest, SettingsAreChecked) {
  host::PosixClock clock;
  host::PosixThreads threads;
  EXPECT_EQ(Scheduler::Create({}, clock, threads).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace coracle::serve

#include "serve/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace coracle::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMs = 1'000'000;

PlanChoice Plan(uint32_t batch, uint32_t threads, uint64_t mib, double ms) {
  return {.batch = batch, .threads = threads, .bytes = mib * kMiB, .predicted_ms = ms};
}

SchedulerSettings Settings(uint64_t budget_mib, uint32_t cores) {
  SchedulerSettings settings;
  settings.budget_bytes = budget_mib * kMiB;
  settings.cores = cores;
  return settings;
}

/// A dispatcher, the time and what runs.
class Desk {
 public:
  explicit Desk(const SchedulerSettings& settings) : dispatcher(settings) {}

  ModelId Load(const std::string& name, std::vector<PlanChoice> choices, double weight = 1,
               uint64_t loaded_mib = 0) {
    const auto id = dispatcher.BeginLoad({name, std::move(choices), loaded_mib * kMiB, weight});
    EXPECT_TRUE(id.ok());
    Decide();
    return *id;
  }
  RequestId Add(const std::string& model, Priority priority = Priority::kNormal,
                uint64_t deadline_ns = 0) {
    const auto id = dispatcher.Submit(model, priority, deadline_ns, now_ns);
    EXPECT_TRUE(id.ok());
    return *id;
  }
  /// Discards are done at once.
  void Decide() {
    Decisions decisions = dispatcher.Decide(now_ns);
    expired.insert(expired.end(), decisions.expired.begin(), decisions.expired.end());
    for (const Convoy& convoy : decisions.start) running.push_back(convoy);
    if (decisions.discard.empty()) return;
    for (const RunnerId runner : decisions.discard) {
      discarded.push_back(runner);
      dispatcher.Discarded(runner);
    }
    Decide();
  }
  void End(const Convoy& convoy, RunnerFate fate = RunnerFate::kKept) {
    const RunnerId runner = convoy.runner;
    for (size_t i = 0; i < convoy.requests.size(); ++i)
      dispatcher.CountAnswer(runner, Dispatcher::Answer::kOutputs);
    std::erase_if(running, [&](const Convoy& each) { return each.runner == runner; });
    dispatcher.Finish(runner, fate, now_ns);
    Decide();
  }
  /// The oldest convoy takes `ms`, then ends.
  void EndFirst(uint64_t ms = 10) {
    now_ns += ms * kMs;
    const Convoy first = running.front();
    End(first);
  }
  uint64_t leased_mib() const { return dispatcher.State(now_ns).leased_bytes / kMiB; }

  Dispatcher dispatcher;
  uint64_t now_ns = 1'000 * kMs;
  std::vector<Convoy> running;
  std::vector<RequestId> expired;
  std::vector<RunnerId> discarded;
};

// ---- convoys and runners

TEST(DispatcherTest, AllThatWaitForAModelGoAsOneConvoy) {
  Desk desk(Settings(93, 1));
  desk.Load("m", {Plan(1, 1, 10, 40), Plan(16, 1, 60, 300)});
  const RequestId first = desk.Add("m");
  desk.Decide();
  std::vector<RequestId> later;
  for (int i = 0; i < 9; ++i) later.push_back(desk.Add("m"));
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(1));
  EXPECT_THAT(desk.running[0].requests, ElementsAre(first));
  desk.EndFirst();
  ASSERT_THAT(desk.running, SizeIs(1));
  EXPECT_EQ(desk.running[0].requests, later);
}

TEST(DispatcherTest, AConvoyGathersIfNothingElseWaits) {
  Desk desk(Settings(93, 1));
  desk.Load("m", {Plan(8, 1, 60, 50)});
  const ModelId other = desk.Load("other", {Plan(1, 1, 20, 50)});
  for (int i = 0; i < 3; ++i) desk.Add("m");
  desk.Decide();
  desk.EndFirst();
  EXPECT_EQ(desk.dispatcher.NextWake(desk.now_ns), 0U);
  desk.Add("m");
  desk.Add("m");
  desk.Decide();
  EXPECT_THAT(desk.running, IsEmpty());
  const uint64_t held_until_ns = desk.now_ns + kMs;  // 2 % of 50 ms
  EXPECT_EQ(desk.dispatcher.NextWake(desk.now_ns), held_until_ns);
  desk.Add("m");
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(1)) << "as many as before";
  EXPECT_THAT(desk.running[0].requests, SizeIs(3));
  desk.EndFirst();
  desk.Add("m");
  desk.Decide();
  EXPECT_THAT(desk.running, IsEmpty());
  desk.now_ns += kMs;
  desk.Decide();
  EXPECT_THAT(desk.running, SizeIs(1)) << "nobody else came";
  desk.Add("m");
  desk.Add("m");
  desk.EndFirst();
  desk.EndFirst();
  desk.Add("m");
  desk.Add("other");
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(1)) << "others are not held up";
  EXPECT_EQ(desk.running[0].model, other);
}

TEST(DispatcherTest, RunnersStayWarmUntilOthersNeedTheirBytes) {
  Desk desk(Settings(50, 1));
  desk.Load("a", {Plan(1, 1, 20, 40)});
  desk.Load("b", {Plan(1, 1, 20, 40)});
  desk.Load("c", {Plan(1, 1, 20, 40)});
  std::vector<RunnerId> runners;
  for (const char* model : {"a", "b", "a"}) {
    desk.Add(model);
    desk.Decide();
    runners.push_back(desk.running[0].runner);
    desk.EndFirst();
  }
  EXPECT_EQ(runners[0], runners[2]);
  EXPECT_EQ(desk.leased_mib(), 40U);
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).idle_bytes, 40 * kMiB);
  desk.Add("c");
  desk.Decide();
  EXPECT_THAT(desk.discarded, ElementsAre(runners[1])) << "the least recently used";
  EXPECT_THAT(desk.running, SizeIs(1));
  EXPECT_EQ(desk.leased_mib(), 40U);
}

TEST(DispatcherTest, NoMoreIsDiscardedThanIsNeeded) {
  Desk desk(Settings(100, 1));
  desk.Load("small", {Plan(1, 1, 10, 40)});
  desk.Load("large", {Plan(1, 1, 80, 40)});
  desk.Load("other", {Plan(1, 1, 60, 40)});
  std::vector<RunnerId> runners;
  for (const char* model : {"small", "large"}) {
    desk.Add(model);
    desk.Decide();
    runners.push_back(desk.running[0].runner);
    desk.EndFirst();
  }
  desk.Add("other");
  desk.Decide();
  EXPECT_THAT(desk.discarded, ElementsAre(runners[1]));
}

TEST(DispatcherTest, ARunnerThatFailedIsNotUsedAgain) {
  Desk desk(Settings(50, 1));
  desk.Load("m", {Plan(1, 1, 20, 40)});
  desk.Add("m");
  desk.Decide();
  const Convoy convoy = desk.running[0];
  desk.End(convoy, RunnerFate::kDestroyed);
  EXPECT_EQ(desk.leased_mib(), 0U);
  desk.Add("m");
  desk.Decide();
  EXPECT_EQ(desk.running[0].origin, RunnerOrigin::kFresh);
  EXPECT_NE(desk.running[0].runner, convoy.runner);
}

TEST(DispatcherTest, UnderLoadSmallerPlansRunBesideOneAnother) {
  Desk desk(Settings(93, 2));
  const std::vector<PlanChoice> front = {Plan(1, 1, 20, 45), Plan(1, 2, 40, 30)};
  desk.Load("a", front);
  desk.Load("b", front);
  desk.Add("a");
  desk.Decide();
  EXPECT_EQ(desk.running[0].choice, 1U);
  desk.Add("a");
  desk.Add("b");
  desk.Decide();
  desk.EndFirst(22);
  ASSERT_THAT(desk.running, SizeIs(2));
  EXPECT_EQ(desk.running[0].choice, 0U);
  EXPECT_EQ(desk.running[1].choice, 0U);
}

// ---- turns

TEST(DispatcherTest, TimeIsSharedByWeightNotByRequests) {
  Desk desk(Settings(93, 1));
  // b's predictions take four times as long; c has twice the weight.
  desk.Load("a", {Plan(1, 1, 10, 10)});
  desk.Load("b", {Plan(1, 1, 10, 40)});
  desk.Load("c", {Plan(1, 1, 10, 10)}, 2);
  std::map<ModelId, uint64_t> time_ms;
  std::map<ModelId, std::string> names = {{ModelId{1}, "a"}, {ModelId{2}, "b"}, {ModelId{3}, "c"}};
  for (const auto& [id, name] : names) {
    for (int i = 0; i < 20; ++i) desk.Add(name);
  }
  desk.Decide();
  for (int i = 0; i < 2000; ++i) {
    const Convoy convoy = desk.running[0];
    const uint64_t ms = convoy.model == ModelId{2} ? 40 : 10;
    time_ms[convoy.model] += ms;
    desk.Add(names.at(convoy.model));
    desk.EndFirst(ms);
  }
  const auto a = static_cast<double>(time_ms[ModelId{1}]);
  EXPECT_NEAR(static_cast<double>(time_ms[ModelId{2}]) / a, 1, 0.05);
  EXPECT_NEAR(static_cast<double>(time_ms[ModelId{3}]) / a, 2, 0.05);
}

TEST(DispatcherTest, AFloodOfOneModelDoesNotDelayAnother) {
  Desk desk(Settings(93, 1));
  desk.Load("flood", {Plan(1, 1, 10, 10)});
  const ModelId rare = desk.Load("rare", {Plan(1, 1, 10, 10)});
  for (int i = 0; i < 200; ++i) desk.Add("flood");
  desk.Decide();
  for (int i = 0; i < 100; ++i) desk.EndFirst();  // those that wait are old by now
  desk.Add("rare");
  desk.EndFirst();
  EXPECT_EQ(desk.running[0].model, rare);
}

TEST(DispatcherTest, HigherPriorityGoesFirstAndALowOneDoesNotStarve) {
  Desk desk(Settings(93, 1));
  const ModelId high = desk.Load("high", {Plan(1, 1, 10, 10)});
  const ModelId low = desk.Load("low", {Plan(1, 1, 10, 10)});
  desk.Add("low", Priority::kLow);
  for (int i = 0; i < 4; ++i) desk.Add("high", Priority::kHigh);
  desk.Decide();
  uint64_t turns_of_high = 0;
  const uint64_t begin_ns = desk.now_ns;
  while (desk.running[0].model == high) {
    ++turns_of_high;
    ASSERT_LT(turns_of_high, 1000U);
    desk.Add("high", Priority::kHigh);
    desk.EndFirst();
  }
  EXPECT_EQ(desk.running[0].model, low);
  const uint64_t two_levels_ns = 2 * SchedulerSettings().aging_ns;
  EXPECT_GE(desk.now_ns - begin_ns, two_levels_ns);
  EXPECT_LE(desk.now_ns - begin_ns, two_levels_ns + 20 * kMs);
}

TEST(DispatcherTest, ALargePlanIsNotStarvedBySmallOnes) {
  Desk desk(Settings(100, 2));
  desk.Load("small", {Plan(1, 1, 30, 10)});
  const ModelId large = desk.Load("large", {Plan(1, 1, 90, 10)});
  desk.Add("small");
  desk.Add("small");
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(2));
  desk.Add("large");
  int turns = 0;
  while (desk.running[0].model != large) {
    desk.Add("small");
    desk.EndFirst(5);
    ASSERT_FALSE(desk.running.empty());
    ASSERT_LT(++turns, 6);
  }
}

TEST(DispatcherTest, WhatEndsBeforeABlockedPlanCanStartMayPassIt) {
  Desk desk(Settings(100, 2));
  desk.Load("long", {Plan(1, 1, 60, 500)});
  desk.Load("large", {Plan(1, 1, 90, 10)});
  const ModelId small = desk.Load("small", {Plan(1, 1, 10, 10)});
  const ModelId slow = desk.Load("slow", {Plan(1, 1, 30, 900)});
  desk.Add("long");
  desk.Decide();
  desk.Add("large", Priority::kHigh);
  desk.Add("slow");
  desk.Decide();
  EXPECT_THAT(desk.running, SizeIs(1)) << "slow would still hold bytes that large needs";
  desk.Add("small");
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(2));
  EXPECT_EQ(desk.running[1].model, small);
  EXPECT_NE(desk.running[1].model, slow);
}

TEST(DispatcherTest, ABadPlanIsNotTakenIfTheGoodOneIsDoneSooner) {
  Desk desk(Settings(100, 2));
  desk.Load("other", {Plan(1, 1, 80, 20)});
  const ModelId model = desk.Load("m", {Plan(1, 1, 10, 400), Plan(1, 1, 50, 40)});
  desk.Add("other");
  desk.Decide();
  desk.Add("m");
  desk.Decide();
  EXPECT_THAT(desk.running, SizeIs(1));
  desk.EndFirst(36);
  ASSERT_THAT(desk.running, SizeIs(1));
  EXPECT_EQ(desk.running[0].model, model);
  EXPECT_EQ(desk.running[0].choice, 1U);
}

// ---- requests

TEST(DispatcherTest, WhatExpiresIsToldAndNeverRuns) {
  Desk desk(Settings(93, 1));
  desk.Load("m", {Plan(4, 1, 10, 10)});
  desk.Add("m");
  desk.Decide();
  const RequestId dies = desk.Add("m", Priority::kNormal, desk.now_ns + 5 * kMs);
  const RequestId lives = desk.Add("m", Priority::kNormal, desk.now_ns + 15 * kMs);
  EXPECT_EQ(desk.dispatcher.NextWake(desk.now_ns), desk.now_ns + 5 * kMs);
  desk.EndFirst(10);
  EXPECT_THAT(desk.expired, ElementsAre(dies));
  EXPECT_THAT(desk.running[0].requests, ElementsAre(lives));
  EXPECT_EQ(desk.dispatcher.NextWake(desk.now_ns), 0U);
  EXPECT_FALSE(desk.dispatcher.Cancel(dies));
}

TEST(DispatcherTest, FullQueuesRefuseAndSayWhenToTryAgain) {
  SchedulerSettings settings = Settings(93, 2);
  settings.queue_max = 12;
  settings.model_queue_max = 10;
  Desk desk(settings);
  desk.Load("a", {Plan(1, 1, 10, 100)});
  desk.Load("b", {Plan(1, 1, 10, 100)});
  for (int i = 0; i < 10; ++i) desk.Add("a");
  auto refused = desk.dispatcher.Submit("a", Priority::kHigh, 0, desk.now_ns);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("queue of model 'a' is full: 10 requests wait"));
  EXPECT_THAT(refused.error().message, HasSubstr("try again in 0.5 s"))
      << "10 of 100 ms on 2 cores";
  desk.Add("b");
  desk.Add("b");
  refused = desk.dispatcher.Submit("b", Priority::kHigh, 0, desk.now_ns);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("the queue is full: 12 requests wait"));
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).counts.refused, 2U);
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).counts.submitted, 12U);
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).backlog_ms, 600);
}

TEST(DispatcherTest, CancelReachesOnlyWhatWaits) {
  Desk desk(Settings(93, 1));
  desk.Load("m", {Plan(1, 1, 10, 10)});
  const RequestId runs = desk.Add("m");
  desk.Decide();
  const RequestId waits = desk.Add("m");
  EXPECT_FALSE(desk.dispatcher.Cancel(runs));
  EXPECT_TRUE(desk.dispatcher.Cancel(waits));
  EXPECT_FALSE(desk.dispatcher.Cancel(waits));
  EXPECT_FALSE(desk.dispatcher.Cancel(RequestId{12345}));
  desk.EndFirst();
  EXPECT_THAT(desk.running, IsEmpty());
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).counts.cancelled, 1U);
}

// ---- models

TEST(DispatcherTest, AModelIsLoadedOnlyIfEveryModelCanStillRun) {
  Desk desk(Settings(100, 2));
  desk.Load("a", {Plan(1, 1, 60, 10), Plan(1, 2, 90, 10)}, 1, 10);
  auto refused = desk.dispatcher.BeginLoad({"b", {Plan(1, 1, 10, 10)}, 31 * kMiB, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kOutOfBudget);
  EXPECT_THAT(refused.error().message, HasSubstr("needs 31 MiB"));
  EXPECT_THAT(refused.error().message, HasSubstr("90 MiB of 100 MiB are left"));
  EXPECT_TRUE(desk.dispatcher.BeginLoad({"b", {Plan(1, 1, 10, 10)}, 30 * kMiB, 1}).ok());
  refused = desk.dispatcher.BeginLoad({"c", {Plan(1, 1, 61, 10)}, 0, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kOutOfBudget);
  refused = desk.dispatcher.BeginLoad({"a", {Plan(1, 1, 1, 10)}, 0, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kAlreadyExists);
  refused = desk.dispatcher.BeginLoad({"d", {Plan(1, 1, 1, 10)}, 0, 0});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  refused = desk.dispatcher.BeginLoad({"e", {Plan(1, 3, 1, 10)}, 0, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
}

TEST(DispatcherTest, AModelThatArrivesGetsItsBytesBeforeAnyConvoy) {
  Desk desk(Settings(100, 2));
  desk.Load("a", {Plan(1, 1, 45, 10)});
  desk.Add("a");
  desk.Add("a");
  desk.Add("a");
  desk.Decide();
  ASSERT_THAT(desk.running, SizeIs(2));
  const auto b = desk.dispatcher.BeginLoad({"b", {Plan(1, 1, 45, 10)}, 40 * kMiB, 1});
  ASSERT_TRUE(b.ok());
  desk.Decide();
  EXPECT_FALSE(desk.dispatcher.is_admitted(*b));
  EXPECT_FALSE(desk.dispatcher.Submit("b", Priority::kNormal, 0, desk.now_ns).ok());
  desk.EndFirst();
  EXPECT_TRUE(desk.dispatcher.is_admitted(*b));
  EXPECT_THAT(desk.running, SizeIs(1));
  EXPECT_EQ(desk.leased_mib(), 85U);
  desk.EndFirst();
  EXPECT_THAT(desk.running, SizeIs(1));
}

TEST(DispatcherTest, UnloadingGivesEveryByteBack) {
  Desk desk(Settings(100, 2));
  const ModelId a = desk.Load("a", {Plan(1, 1, 30, 10)}, 1, 5);
  desk.Add("a");
  desk.Add("a");
  desk.Decide();
  const RequestId waits = desk.Add("a", Priority::kNormal, desk.now_ns + kMs);
  desk.EndFirst(0);  // a warm one takes the third
  const RequestId last = desk.Add("a");
  auto leaving = desk.dispatcher.BeginUnload("a");
  ASSERT_TRUE(leaving.ok());
  EXPECT_EQ(leaving->model, a);
  EXPECT_THAT(leaving->waiting, ElementsAre(last));
  EXPECT_NE(desk.running[1].requests[0], last);
  EXPECT_EQ(desk.running[1].requests[0], waits);
  EXPECT_FALSE(desk.dispatcher.BeginUnload("a").ok());
  EXPECT_FALSE(desk.dispatcher.Submit("a", Priority::kNormal, 0, desk.now_ns).ok());
  EXPECT_TRUE(desk.dispatcher.has_runners(a));
  desk.EndFirst();
  desk.EndFirst();
  EXPECT_FALSE(desk.dispatcher.has_runners(a));
  EXPECT_EQ(desk.leased_mib(), 5U);
  desk.dispatcher.EndUnload(a);
  EXPECT_EQ(desk.leased_mib(), 0U);
  EXPECT_EQ(desk.dispatcher.State(desk.now_ns).counts.unloaded, 1U);
}

TEST(DispatcherTest, SettingsAreChecked) {
  EXPECT_TRUE(Dispatcher::CheckSettings(Settings(1, 1)).ok());
  EXPECT_FALSE(Dispatcher::CheckSettings(Settings(0, 1)).ok());
  EXPECT_FALSE(Dispatcher::CheckSettings(Settings(1, 0)).ok());
  SchedulerSettings settings = Settings(1, 1);
  settings.convoys_max = 0;
  EXPECT_FALSE(Dispatcher::CheckSettings(settings).ok());
  settings = Settings(1, 1);
  settings.aging_ns = 0;
  const Status status = Dispatcher::CheckSettings(settings);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("aging_ns"));
}

}  // namespace
}  // namespace coracle::serve

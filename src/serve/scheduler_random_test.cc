// Threads that submit, cancel, load and unload at random; models that count the memory that they
// take, the requests that they answer. Run it under ThreadSanitizer.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "host/fake/random.h"
#include "host/posix/clock.h"
#include "host/posix/threads.h"
#include "serve/scheduler.h"
#include "serve/test_models.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint32_t kClients = 4;
constexpr uint32_t kModels = 5;
constexpr uint32_t kStepsEach = 25'000;

std::string NameOf(uint64_t model) { return fmt::format("m{}", model); }

/// What became of the requests, by those who asked. Threads: any.
struct Tally {
  explicit Tally(size_t count) : answers(count) {}
  std::vector<std::atomic<uint32_t>> answers;  ///< to each request
  std::atomic<uint64_t> submitted{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> with_outputs{0};
  std::atomic<uint64_t> wrong{0};
};

class Stress {
 public:
  explicit Stress(uint64_t seed) : seed_(seed), memory_(64 * kMiB), tally_(kClients * kStepsEach) {
    SchedulerSettings settings;
    settings.budget_bytes = 64 * kMiB;
    settings.cores = 4;
    settings.queue_max = 64;
    settings.model_queue_max = 24;
    settings.aging_ns = 1'000'000;
    scheduler_ = std::move(Scheduler::Create(settings, clock_, threads_).value());
  }

  void Run() {
    std::vector<std::unique_ptr<host::Thread>> threads;
    for (uint32_t i = 0; i < kClients; ++i)
      threads.push_back(std::move(threads_.Start([this, i] { Client(i); }).value()));
    threads.push_back(std::move(threads_.Start([this] { Operator(); }).value()));
    while (threads.size() > 1) threads.erase(threads.begin());
    clients_done_.store(true);
    threads.clear();
    // Some requests still wait or run: destruction answers them.
    const SchedulerState state = scheduler_->state();
    EXPECT_LE(state.leased_peak_bytes, state.budget_bytes);
    EXPECT_EQ(state.counts.submitted, tally_.submitted.load());
    EXPECT_EQ(state.counts.refused, tally_.refused.load());
    fmt::print(
        "{} accepted, {} refused, {} cancelled, {} expired, {} unloaded, {} convoys, "
        "{} runners, {} loads\n",
        state.counts.submitted, state.counts.refused, state.counts.cancelled, state.counts.expired,
        state.counts.unloaded, state.counts.convoys, state.counts.runners_started, loads_);
    EXPECT_GT(state.counts.convoys, 0U);
    EXPECT_GT(state.counts.cancelled, 0U);
    EXPECT_GT(state.counts.unloaded, 0U);
    scheduler_.reset();
    Check();
  }

 private:
  void Check() {
    uint64_t answered = 0;
    for (const auto& answers : tally_.answers) {
      EXPECT_LE(answers.load(), 1U) << "answered twice";
      answered += answers.load();
    }
    EXPECT_EQ(answered, tally_.submitted.load()) << "a request was lost";
    EXPECT_GT(tally_.with_outputs.load(), 0U);
    EXPECT_EQ(tally_.wrong.load(), 0U);
    EXPECT_EQ(memory_.exceeded(), 0U);
    EXPECT_EQ(memory_.live_bytes(), 0U);
  }

  Request Ask(uint64_t number, host::SplitMix64& random) {
    Request request;
    request.model = NameOf(random.Below(kModels));
    request.priority = Priority{static_cast<uint8_t>(random.Below(3))};
    if (random.Below(8) == 0)
      request.deadline_ns = clock_.NowNanoseconds() + random.Below(2'000'000);
    const bool fails = random.Below(50) == 0;
    request.write_inputs = [number, fails](InputSink& sink) -> Status {
      if (fails) return Error{Code::kMalformed, "input"};
      const auto value = static_cast<float>(number);
      sink.Write(0, 0, {&value, 1});
      return {};
    };
    const bool cancels = random.Below(20) == 0;
    request.done = [this, number, cancels](const Status& status, const OutputSource* outputs) {
      tally_.answers[number].fetch_add(1);
      if (status.ok() != (outputs != nullptr)) tally_.wrong.fetch_add(1);
      if (cancels) scheduler_->Cancel(RequestId{last_id_.load()});
      if (outputs == nullptr) return;
      float value = 0;
      if (!outputs->Read(0, 0, {&value, 1}).ok() || value != static_cast<float>(2 * number + 1))
        tally_.wrong.fetch_add(1);
      tally_.with_outputs.fetch_add(1);
    };
    return request;
  }

  void Client(uint32_t client) {
    host::SplitMix64 random(seed_ + client);
    for (uint64_t i = 0; i < kStepsEach; ++i) {
      const auto id = scheduler_->Submit(Ask(client * kStepsEach + i, random));
      ++(id.ok() ? tally_.submitted : tally_.refused);
      if (id.ok()) last_id_.store(static_cast<uint64_t>(*id));
      if (id.ok() && random.Below(10) == 0) scheduler_->Cancel(*id);
      if (random.Below(40) == 0) (void)scheduler_->state();
      if (!id.ok()) Pause();  // a full queue, or a model that is not loaded now
    }
  }

  /// Lets others run.
  static void Pause() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

  void Operator() {
    host::SplitMix64 random(seed_ + 1000);
    while (!clients_done_.load()) {
      const uint64_t model = random.Below(kModels);
      if (random.Below(3) == 0) {
        (void)scheduler_->Unload(NameOf(model));
        continue;
      }
      auto loaded = std::make_unique<TestModel>(RandomModel(model, random), memory_);
      TestModel* const kept = loaded.get();
      if (!scheduler_->Load(std::move(loaded), 1).ok()) continue;
      kept->CountLoaded();
      ++loads_;
      for (int i = 0; i < 10; ++i) Pause();
    }
  }

  TestModelSettings RandomModel(uint64_t model, host::SplitMix64& random) {
    TestModelSettings settings;
    settings.name = NameOf(model);
    settings.loaded_bytes = random.Below(kMiB);
    for (uint32_t batch = 1; batch <= 8; batch *= 2) {
      settings.choices.push_back({.batch = batch,
                                  .threads = 1 + static_cast<uint32_t>(random.Below(3)) / 2,
                                  .bytes = batch * (kMiB + random.Below(4 * kMiB)),
                                  .predicted_ms = 0.01 * (1 + batch)});
    }
    settings.choices[0].threads = 1;
    std::sort(settings.choices.begin(), settings.choices.end(),
              [](const PlanChoice& a, const PlanChoice& b) { return a.bytes < b.bytes; });
    settings.on_start = [this]() -> Status { return Chance("start"); };
    settings.on_run = [this](uint32_t) -> Status { return Chance("run"); };
    return settings;
  }

  Status Chance(const char* what) {
    if (chances_.fetch_add(1) % 97 == 96) return Error{Code::kTampered, what};
    return {};
  }

  const uint64_t seed_;
  host::PosixClock clock_;
  host::PosixThreads threads_;
  TestMemory memory_;
  Tally tally_;
  std::atomic<uint64_t> chances_{0};
  std::atomic<uint64_t> last_id_{0};
  std::atomic<bool> clients_done_{false};
  uint64_t loads_ = 0;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST(SchedulerStressTest, BudgetHoldsNothingIsLostOrAnsweredTwice) {
  const char* const given = std::getenv("CORACLE_SEED");
  const uint64_t seed = given == nullptr ? 6 : std::strtoull(given, nullptr, 10);
  fmt::print("seed {}: repeat with CORACLE_SEED={}\n", seed, seed);
  Stress(seed).Run();
}

}  // namespace
}  // namespace coracle::serve

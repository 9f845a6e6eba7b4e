// The scheduler's threads: they do what the dispatcher decides.
//
// One mutex guards all that is here. It is never held while a model is started, run or destroyed,
// nor while a callback runs or is destroyed.
#include "serve/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "serve/dispatcher.h"
#include "serve/run_convoy.h"

namespace coracle::serve {
namespace {

using Lock = std::unique_lock<std::mutex>;

class ThreadedScheduler final : public Scheduler {
 public:
  ThreadedScheduler(const SchedulerSettings& settings, host::Clock& clock)
      : clock_(clock), dispatcher_(settings) {}
  ~ThreadedScheduler() override;

  /// Errors: kUnavailable.
  Status StartThreads(uint32_t workers, host::Threads& threads);

  Status Load(std::unique_ptr<ServedModel> model, double weight) override;
  Status Unload(std::string_view name) override;
  Result<RequestId> Submit(Request request) override;
  bool Cancel(RequestId id) override;
  SchedulerState state() const override;

 private:
  /// A request that is answered without having run.
  struct Refusal {
    Request request;
    Error error;
  };

  void Work();
  void Watch();

  // All of these require that the mutex is held; those that take the lock release it meanwhile.
  void Decide();
  Request Extract(RequestId id);
  void Unload(Lock& lock, const Dispatcher::Leaving& leaving);
  void Refuse(Lock& lock, std::deque<Refusal> refusals);
  void Discard(Lock& lock);
  void Run(Lock& lock);
  void AwaitSleep(Lock& lock);
  Result<std::unique_ptr<Runner>> TakeRunner(Lock& lock, const Convoy& convoy);

  host::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable work_;    ///< for workers: something to do
  std::condition_variable watch_;   ///< for the watcher: refusals, another wake_ns_
  std::condition_variable change_;  ///< for Load and Unload: bytes came back
  Dispatcher dispatcher_;
  std::map<ModelId, std::unique_ptr<ServedModel>> models_;
  std::map<RunnerId, std::unique_ptr<Runner>> runners_;  ///< but those that run
  std::map<RequestId, Request> requests_;                ///< that wait
  std::deque<RunnerId> discards_;
  std::deque<Convoy> convoys_;
  std::deque<Refusal> refusals_;
  uint64_t wake_ns_ = 0;      ///< the dispatcher's next
  bool is_closed_ = false;    ///< takes nothing new
  bool is_stopping_ = false;  ///< threads end
  std::vector<std::unique_ptr<host::Thread>> threads_;
};

Status ThreadedScheduler::StartThreads(uint32_t workers, host::Threads& threads) {
  for (uint32_t i = 0; i <= workers; ++i) {
    TRY_ASSIGN(auto thread, threads.Start([this, i] { i == 0 ? Watch() : Work(); }));
    threads_.push_back(std::move(thread));
  }
  return {};
}

ThreadedScheduler::~ThreadedScheduler() {
  Lock lock(mutex_);
  is_closed_ = true;
  std::deque<Dispatcher::Leaving> all_leaving;  // all first: nothing that waits may start any more
  for (const auto& [id, model] : models_) {
    all_leaving.push_back(std::move(dispatcher_.BeginUnload(model->name()).value()));
  }
  for (const Dispatcher::Leaving& leaving : all_leaving) Unload(lock, leaving);
  is_stopping_ = true;
  work_.notify_all();
  watch_.notify_all();
  lock.unlock();
  threads_.clear();  // joins
}

// ---- what others ask for

Status ThreadedScheduler::Load(std::unique_ptr<ServedModel> model, double weight) {
  ModelOffer offer;
  offer.name = model->name();
  offer.choices.assign(model->choices().begin(), model->choices().end());
  offer.loaded_bytes = model->loaded_bytes();
  offer.weight = weight;
  Lock lock(mutex_);
  TRY_ASSIGN(const ModelId id, dispatcher_.BeginLoad(std::move(offer)));
  models_.emplace(id, std::move(model));
  Decide();
  while (!dispatcher_.is_admitted(id)) {
    if (discards_.empty()) {
      change_.wait(lock);
    } else {
      Discard(lock);
    }
  }
  return {};
}

Status ThreadedScheduler::Unload(std::string_view name) {
  Lock lock(mutex_);
  TRY_ASSIGN(const auto leaving, dispatcher_.BeginUnload(name));
  Unload(lock, leaving);
  return {};
}

void ThreadedScheduler::Unload(Lock& lock, const Dispatcher::Leaving& leaving) {
  std::deque<Refusal> refusals;
  const std::string_view reason = is_closed_ ? "the server is stopping" : "the model was unloaded";
  for (const RequestId id : leaving.waiting) {
    Request request = Extract(id);
    const std::string message = fmt::format("model '{}': {}", request.model, reason);
    refusals.push_back({std::move(request), Error{Code::kUnavailable, message}});
  }
  Refuse(lock, std::move(refusals));
  Decide();
  while (dispatcher_.has_runners(leaving.model)) {
    if (discards_.empty()) {
      change_.wait(lock);
    } else {
      Discard(lock);
    }
  }
  auto model = models_.extract(leaving.model);
  lock.unlock();
  model.mapped().reset();
  lock.lock();
  dispatcher_.EndUnload(leaving.model);
  Decide();
  change_.notify_all();
}

Result<RequestId> ThreadedScheduler::Submit(Request request) {
  // `request` is destroyed after the lock is gone: what its functions own may be anything.
  const Lock lock(mutex_);
  if (is_closed_ || !request.write_inputs || !request.done) {
    dispatcher_.CountRefused();
    if (is_closed_) return Error{Code::kUnavailable, "the server is stopping"};
    return Error{Code::kInvalidArgument, "a request needs write_inputs and done"};
  }
  TRY_ASSIGN(const RequestId id, dispatcher_.Submit(request.model, request.priority,
                                                    request.deadline_ns, clock_.NowNanoseconds()));
  requests_.emplace(id, std::move(request));
  Decide();
  return id;
}

bool ThreadedScheduler::Cancel(RequestId id) {
  Lock lock(mutex_);
  if (!dispatcher_.Cancel(id)) return false;
  std::deque<Refusal> refusals;
  refusals.push_back({Extract(id), Error{Code::kUnavailable, "cancelled"}});
  Decide();
  Refuse(lock, std::move(refusals));
  return true;
}

SchedulerState ThreadedScheduler::state() const {
  const Lock lock(mutex_);
  return dispatcher_.State(clock_.NowNanoseconds());
}

// ---- what follows

void ThreadedScheduler::Decide() {
  const uint64_t now_ns = clock_.NowNanoseconds();
  Decisions decisions = dispatcher_.Decide(now_ns);
  for (const RequestId id : decisions.expired) {
    refusals_.push_back(
        {Extract(id), Error{Code::kUnavailable, "deadline: its turn did not come"}});
  }
  for (const RunnerId id : decisions.discard) discards_.push_back(id);
  for (Convoy& convoy : decisions.start) convoys_.push_back(std::move(convoy));
  const uint64_t wake_ns = std::exchange(wake_ns_, dispatcher_.NextWake(now_ns));
  if (!decisions.expired.empty() || wake_ns != wake_ns_) watch_.notify_all();
  if (!decisions.discard.empty()) change_.notify_all();  // who waits for bytes helps
  if (!decisions.discard.empty() || !decisions.start.empty()) work_.notify_all();
}

Request ThreadedScheduler::Extract(RequestId id) {
  auto node = requests_.extract(id);
  CORACLE_CHECK(!node.empty());
  return std::move(node.mapped());
}

void ThreadedScheduler::Refuse(Lock& lock, std::deque<Refusal> refusals) {
  lock.unlock();
  for (Refusal& refusal : refusals) refusal.request.done(std::move(refusal.error), nullptr);
  refusals.clear();
  lock.lock();
}

void ThreadedScheduler::Discard(Lock& lock) {
  auto runner = runners_.extract(discards_.front());
  discards_.pop_front();
  lock.unlock();
  runner.mapped().reset();
  lock.lock();
  dispatcher_.Discarded(runner.key());
  Decide();
  change_.notify_all();
}

/// The convoy's runner, whose memory is leased. On an error there is none.
Result<std::unique_ptr<Runner>> ThreadedScheduler::TakeRunner(Lock& lock, const Convoy& convoy) {
  if (convoy.origin == RunnerOrigin::kWarm) {
    return std::move(runners_.extract(convoy.runner).mapped());
  }
  ServedModel& model = *models_.at(convoy.model);
  lock.unlock();
  auto runner = model.Start(convoy.choice);
  lock.lock();
  if (runner.ok()) dispatcher_.CountStarted(convoy.runner);
  return runner;
}

void ThreadedScheduler::Run(Lock& lock) {
  const Convoy convoy = std::move(convoys_.front());
  convoys_.pop_front();
  std::vector<Request> requests;
  for (const RequestId id : convoy.requests) requests.push_back(Extract(id));
  auto runner = TakeRunner(lock, convoy);
  lock.unlock();
  const BeforeAnswer count = [this, &convoy](const Status& status) {
    const Lock locked(mutex_);
    dispatcher_.CountAnswer(
        convoy.runner, status.ok() ? Dispatcher::Answer::kOutputs : Dispatcher::Answer::kFailure);
  };
  bool is_kept = false;
  if (runner.ok()) {
    is_kept = RunConvoy(**runner, requests, count).ok();
    if (!is_kept) runner->reset();
  } else {
    FailConvoy(requests, runner.error(), count);
  }
  requests.clear();
  lock.lock();
  if (is_kept) runners_.emplace(convoy.runner, std::move(*runner));
  dispatcher_.Finish(convoy.runner, is_kept ? RunnerFate::kKept : RunnerFate::kDestroyed,
                     clock_.NowNanoseconds());
  Decide();
  change_.notify_all();
}

void ThreadedScheduler::Work() {
  Lock lock(mutex_);
  while (true) {
    if (!discards_.empty()) {
      Discard(lock);
    } else if (!convoys_.empty()) {
      Run(lock);
    } else if (is_stopping_) {
      return;
    } else {
      work_.wait(lock);
    }
  }
}

/// Answers what has expired, also while every worker is busy, and decides when it is time to.
void ThreadedScheduler::Watch() {
  Lock lock(mutex_);
  while (true) {
    if (!refusals_.empty()) {
      Refuse(lock, std::exchange(refusals_, {}));
    } else if (is_stopping_) {
      return;
    } else {
      AwaitSleep(lock);
      Decide();
    }
  }
}

void ThreadedScheduler::AwaitSleep(Lock& lock) {
  constexpr uint64_t kLongestNs = 1'000'000'000;  // so that no sum overflows
  if (wake_ns_ == 0) {
    watch_.wait(lock);
    return;
  }
  const uint64_t now_ns = clock_.NowNanoseconds();
  if (wake_ns_ <= now_ns) return;
  const uint64_t sleep_ns = std::min(wake_ns_ - now_ns, kLongestNs);
  watch_.wait_for(lock, std::chrono::nanoseconds(sleep_ns));
}

}  // namespace

Result<std::unique_ptr<Scheduler>> Scheduler::Create(const SchedulerSettings& settings,
                                                     host::Clock& clock, host::Threads& threads) {
  TRY(Dispatcher::CheckSettings(settings));
  auto scheduler = std::make_unique<ThreadedScheduler>(settings, clock);
  // No more than these can be busy: each convoy takes a core at least.
  TRY(scheduler->StartThreads(std::min(settings.cores, settings.convoys_max), threads));
  return std::unique_ptr<Scheduler>(std::move(scheduler));
}

}  // namespace coracle::serve

// What happens: models and requests come and go, convoys end. What follows from it is decided in
// dispatcher_decide.cc.
#include "serve/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kBudgetBytesMax = uint64_t{1} << 60;  // sums of three budgets do not overflow
constexpr uint32_t kCoresMax = 1024;
constexpr uint32_t kConvoysMax = 4096;
constexpr uint32_t kQueueMax = 1 << 20;
constexpr uint64_t kAgingNsMax = uint64_t{3'600} * 1'000'000'000;
constexpr double kWeightMin = 0.001;
constexpr double kWeightMax = 1000;
constexpr double kNanosecondsPerMs = 1e6;

// Gathering costs at most so much of the last convoy's time; clients in this process or on this
// machine need some tens of microseconds to ask again.
constexpr double kGatherShare = 0.02;
constexpr uint64_t kGatherNsMax = 2'000'000;

Status CheckRange(const char* field, uint64_t value, uint64_t most) {
  if (value >= 1 && value <= most) return {};
  return Error{Code::kInvalidArgument,
               fmt::format("scheduler settings: {} is {}; give 1 to {}", field, value, most)};
}

/// What a model must have free at least, beside what it keeps while loaded; none if every choice
/// needs more cores than there are.
std::optional<uint64_t> SmallestBytes(const ModelOffer& offer, uint32_t cores) {
  std::optional<uint64_t> smallest;
  for (const PlanChoice& plan : offer.choices) {
    if (plan.threads <= cores) smallest = std::min(smallest.value_or(plan.bytes), plan.bytes);
  }
  return smallest;
}

void CheckChoices(const std::vector<PlanChoice>& choices) {
  CORACLE_CHECK(!choices.empty());
  for (const PlanChoice& plan : choices) {
    CORACLE_CHECK(plan.batch >= 1 && plan.threads >= 1 && plan.bytes > 0);
    CORACLE_CHECK(std::isfinite(plan.predicted_ms) && plan.predicted_ms > 0);
  }
  CORACLE_CHECK(
      std::is_sorted(choices.begin(), choices.end(),
                     [](const PlanChoice& a, const PlanChoice& b) { return a.bytes < b.bytes; }));
}

}  // namespace

Dispatcher::Dispatcher(const SchedulerSettings& settings)
    : settings_(settings),
      ledger_(settings.budget_bytes),
      fair_share_(static_cast<double>(settings.aging_ns) / kNanosecondsPerMs) {
  CORACLE_CHECK(CheckSettings(settings).ok());
}

Status Dispatcher::CheckSettings(const SchedulerSettings& settings) {
  TRY(CheckRange("budget_bytes", settings.budget_bytes, kBudgetBytesMax));
  TRY(CheckRange("cores", settings.cores, kCoresMax));
  TRY(CheckRange("convoys_max", settings.convoys_max, kConvoysMax));
  TRY(CheckRange("queue_max", settings.queue_max, kQueueMax));
  TRY(CheckRange("model_queue_max", settings.model_queue_max, kQueueMax));
  return CheckRange("aging_ns", settings.aging_ns, kAgingNsMax);
}

Dispatcher::Models::iterator Dispatcher::FindAdmitted(std::string_view name) {
  return std::find_if(models_.begin(), models_.end(), [&](const auto& each) {
    return each.second.offer.name == name && each.second.stage == Stage::kAdmitted;
  });
}

Status Dispatcher::CheckFits(const ModelOffer& offer) const {
  const std::optional<uint64_t> own = SmallestBytes(offer, settings_.cores);
  if (!own) {
    return Error{Code::kInvalidArgument,
                 fmt::format("model '{}': every plan takes more than {} cores", offer.name,
                             settings_.cores)};
  }
  // Any of the models must still be able to run alone, beside what all of them keep.
  uint64_t loaded = 0;
  uint64_t largest = *own;
  for (const auto& [id, model] : models_) {
    loaded += model.offer.loaded_bytes;
    largest = std::max(largest, *SmallestBytes(model.offer, settings_.cores));
  }
  const uint64_t budget = settings_.budget_bytes;
  if (offer.loaded_bytes <= budget && largest <= budget &&
      loaded + offer.loaded_bytes + largest <= budget) {
    return {};
  }
  return Error{Code::kOutOfBudget,
               fmt::format("model '{}' needs {} while it is loaded and room for a plan of {}, but "
                           "{} of {} are left beside the models that are loaded; unload one, or "
                           "give the scheduler more",
                           offer.name, FormatBytes(offer.loaded_bytes), FormatBytes(largest),
                           FormatBytes(budget - loaded), FormatBytes(budget))};
}

Result<ModelId> Dispatcher::BeginLoad(ModelOffer offer) {
  CheckChoices(offer.choices);
  // Not the negation: a weight may be no number.
  if (!(offer.weight >= kWeightMin && offer.weight <= kWeightMax)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("model '{}': its weight is {}; give {} to {}", offer.name,
                             offer.weight, kWeightMin, kWeightMax)};
  }
  for (const auto& [id, model] : models_) {
    if (model.offer.name != offer.name) continue;
    return Error{Code::kAlreadyExists, fmt::format("model '{}' is loaded already", offer.name)};
  }
  if (models_.size() >= kModelsMax) {
    return Error{Code::kUnavailable, fmt::format("model '{}': {} models are loaded, which is the "
                                                 "most; unload one",
                                                 offer.name, kModelsMax)};
  }
  TRY(CheckFits(offer));
  const ModelId id{++ids_given_};
  Model model(settings_.aging_ns);
  model.share.weight = offer.weight;
  model.work_ms = LeastWorkMs(offer.choices);
  model.warm.resize(offer.choices.size(), 0);
  model.offer = std::move(offer);
  models_.emplace(id, std::move(model));
  return id;
}

Result<Dispatcher::Leaving> Dispatcher::BeginUnload(std::string_view name) {
  const auto found = FindAdmitted(name);
  if (found == models_.end()) {
    return Error{Code::kNotFound, fmt::format("no model '{}' is loaded", name)};
  }
  Leaving leaving;
  leaving.model = found->first;
  for (const auto& [id, each] : waiting_) {
    if (each.model == leaving.model) leaving.waiting.push_back(id);
  }
  for (const RequestId id : leaving.waiting) Forget(id);
  counts_.unloaded += leaving.waiting.size();
  found->second.stage = Stage::kLeaving;
  return leaving;
}

void Dispatcher::EndUnload(ModelId id) {
  const Model& model = models_.at(id);
  CORACLE_CHECK(model.stage == Stage::kLeaving && model.runner_count == 0);
  ledger_.Return(model.offer.loaded_bytes);
  models_.erase(id);
}

Error Dispatcher::QueueFull(const std::string& queue, uint32_t count, uint64_t now_ns) const {
  const double seconds = std::max(BacklogMs(now_ns), 1.0) / 1000;
  return {Code::kUnavailable, fmt::format("{} is full: {} requests wait; try again in {:.3g} s",
                                          queue, count, seconds)};
}

Result<RequestId> Dispatcher::Submit(std::string_view name, Priority priority, uint64_t deadline_ns,
                                     uint64_t now_ns) {
  const auto found = FindAdmitted(name);
  const auto waiting = static_cast<uint32_t>(waiting_.size());
  ++counts_.refused;
  if (found == models_.end()) {
    return Error{Code::kNotFound, fmt::format("no model '{}' is loaded", name)};
  }
  if (waiting >= settings_.queue_max) return QueueFull("the queue", waiting, now_ns);
  Model& model = found->second;
  if (model.queue.count() >= settings_.model_queue_max) {
    return QueueFull(fmt::format("the queue of model '{}'", name), model.queue.count(), now_ns);
  }
  --counts_.refused;
  ++counts_.submitted;
  const WaitingRequest request{RequestId{++ids_given_}, priority, now_ns, deadline_ns};
  if (model.queue.count() == 0) fair_share_.Wake(model.share);
  model.queue.Add(request);
  if (deadline_ns != 0) deadlines_.emplace(deadline_ns, request.id);
  waiting_.emplace(request.id, Waiting{found->first, request});
  return request.id;
}

void Dispatcher::Forget(RequestId id) {
  const auto found = waiting_.find(id);
  const WaitingRequest& request = found->second.request;
  models_.at(found->second.model).queue.Remove(request);
  if (request.deadline_ns != 0) deadlines_.erase({request.deadline_ns, id});
  waiting_.erase(found);
}

bool Dispatcher::Cancel(RequestId id) {
  if (!waiting_.contains(id)) return false;
  Forget(id);
  ++counts_.cancelled;
  return true;
}

void Dispatcher::CountStarted(RunnerId runner) {
  CORACLE_CHECK(runners_.at(runner).stage == RunnerStage::kBusy);
  ++counts_.runners_started;
}

void Dispatcher::CountAnswer(RunnerId id, Answer answer) {
  Runner& runner = runners_.at(id);
  CORACLE_CHECK(runner.stage == RunnerStage::kBusy && runner.unanswered > 0);
  --runner.unanswered;
  --running_requests_;
  ++(answer == Answer::kOutputs ? counts_.answered : counts_.failed);
}

void Dispatcher::Finish(RunnerId id, RunnerFate fate, uint64_t now_ns) {
  Runner& runner = runners_.at(id);
  Model& model = models_.at(runner.model);
  CORACLE_CHECK(runner.stage == RunnerStage::kBusy && runner.unanswered == 0);
  busy_threads_ -= runner.threads;
  --busy_count_;
  const double convoy_ms = model.offer.choices[runner.choice].predicted_ms;
  model.gathers = runner.requests;
  model.gathers_until_ns =
      now_ns +
      std::min(static_cast<uint64_t>(convoy_ms * kNanosecondsPerMs * kGatherShare), kGatherNsMax);
  if (fate == RunnerFate::kDestroyed) {
    ledger_.Return(runner.bytes);
    --model.runner_count;
    runners_.erase(id);
    return;
  }
  runner.stage = RunnerStage::kIdle;
  runner.idle_order = ++ids_given_;
  idle_.emplace(runner.idle_order, id);
  idle_bytes_ += runner.bytes;
  ++model.warm[runner.choice];
}

void Dispatcher::Discarded(RunnerId id) {
  const Runner& runner = runners_.at(id);
  CORACLE_CHECK(runner.stage == RunnerStage::kLeaving);
  leaving_bytes_ -= runner.bytes;
  ledger_.Return(runner.bytes);
  --models_.at(runner.model).runner_count;
  runners_.erase(id);
}

uint64_t Dispatcher::NextWake(uint64_t now_ns) const {
  uint64_t next_ns = std::numeric_limits<uint64_t>::max();
  if (!deadlines_.empty()) next_ns = deadlines_.begin()->first;
  for (const auto& [id, model] : models_) {
    const bool gathers = model.queue.count() > 0 && model.queue.count() < model.gathers;
    if (gathers && model.gathers_until_ns > now_ns)
      next_ns = std::min(next_ns, model.gathers_until_ns);
  }
  return next_ns == std::numeric_limits<uint64_t>::max() ? 0 : next_ns;
}

double Dispatcher::BacklogMs(uint64_t now_ns) const {
  double core_ms = 0;
  for (const auto& [id, model] : models_) core_ms += model.queue.count() * model.work_ms;
  for (const auto& [id, runner] : runners_) {
    if (runner.stage != RunnerStage::kBusy || runner.ends_ns <= now_ns) continue;
    core_ms += runner.threads * static_cast<double>(runner.ends_ns - now_ns) / kNanosecondsPerMs;
  }
  return core_ms / settings_.cores;
}

SchedulerState Dispatcher::State(uint64_t now_ns) const {
  SchedulerState state;
  state.budget_bytes = ledger_.budget_bytes();
  state.leased_bytes = ledger_.leased_bytes();
  state.leased_peak_bytes = ledger_.leased_peak_bytes();
  state.idle_bytes = idle_bytes_;
  state.waiting = static_cast<uint32_t>(waiting_.size());
  state.running = running_requests_;
  state.backlog_ms = BacklogMs(now_ns);
  state.counts = counts_;
  return state;
}

}  // namespace coracle::serve

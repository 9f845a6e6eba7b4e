#include "serve/test_world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace coracle::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr double kNsPerMs = 1e6;
constexpr double kDiscardMsMax = 0.2;

double LongestMs(const ModelOffer& offer) {
  double longest = 0;
  for (const PlanChoice& plan : offer.choices)
    longest = std::max(longest, ConvoyMs(plan, RunnerOrigin::kFresh));
  return longest;
}

double LongestCoreMs(const ModelOffer& offer) {
  double longest = 0;
  for (const PlanChoice& plan : offer.choices)
    longest = std::max(longest, ConvoyMs(plan, RunnerOrigin::kFresh) * plan.threads);
  return longest;
}

}  // namespace

World::World(const WorldSettings& settings)
    : settings_(settings), dispatcher_(settings.scheduler), random_(settings.seed) {
  for (int i = 0; i < 100 && models_.size() < settings.models; ++i) Load();
}

/// Fronts of all kinds: single plans that take most of the budget, and many small ones.
ModelOffer World::RandomOffer() {
  ModelOffer offer;
  offer.name = fmt::format("m{}", random_.Below(2 * settings_.models));
  offer.loaded_bytes = random_.Below(2 * kMiB);
  offer.weight = std::array{0.5, 1.0, 1.0, 4.0}[random_.Below(4)];
  const uint64_t most = settings_.scheduler.budget_bytes * 7 / 10;
  const double ms_for_one = 1 + 40 * Uniform();
  const uint64_t count = 1 + random_.Below(8);
  for (uint64_t i = 0; i < count; ++i) {
    PlanChoice plan;
    plan.batch = 1U << random_.Below(4);
    plan.threads = 1 + static_cast<uint32_t>(random_.Below(settings_.scheduler.cores));
    plan.bytes = 1 + random_.Below(i == 0 ? most : most / 2);
    plan.predicted_ms = ms_for_one * (0.4 + 0.6 * plan.batch) * (0.7 + 0.6 * Uniform()) /
                        (0.2 + 0.8 * plan.threads);
    offer.choices.push_back(plan);
  }
  offer.choices[0].threads = 1;
  std::sort(offer.choices.begin(), offer.choices.end(),
            [](const PlanChoice& a, const PlanChoice& b) { return a.bytes < b.bytes; });
  return offer;
}

void World::Step() {
  ++steps_;
  const uint64_t event_ns = events_.empty() ? next_external_ns_ : events_.top().at_ns;
  const uint64_t wake_ns = dispatcher_.NextWake(now_ns_);
  if (wake_ns > now_ns_ && wake_ns < std::min(event_ns, next_external_ns_)) {
    now_ns_ = wake_ns;
  } else if (!events_.empty() && event_ns <= next_external_ns_) {
    const Event event = events_.top();
    events_.pop();
    now_ns_ = std::max(now_ns_, event.at_ns);
    Inside(event);
  } else {
    now_ns_ = std::max(now_ns_, next_external_ns_);
    External();
  }
  Decide();
  EndUnloads();
  CheckWaits();
  if (steps_ % 64 == 0) CheckState();
}

void World::Drain() {
  while (waiting_ > 0 || running_ > 0 || !events_.empty()) {
    const uint64_t wake_ns = dispatcher_.NextWake(now_ns_);
    ASSERT_TRUE(!events_.empty() || wake_ns > now_ns_) << "nothing will ever happen";
    next_external_ns_ = events_.empty() ? wake_ns + 1 : events_.top().at_ns;
    Step();
    if (::testing::Test::HasFailure()) return;
  }
  for (auto& [id, model] : models_) {
    if (model.is_leaving || !dispatcher_.is_admitted(id)) continue;
    ASSERT_TRUE(dispatcher_.BeginUnload(model.offer.name).ok());
    model.is_leaving = true;
  }
  Decide();
  while (!events_.empty()) {
    next_external_ns_ = events_.top().at_ns;
    Step();
  }
  EndUnloads();
  CheckState();
  EXPECT_TRUE(models_.empty());
  EXPECT_EQ(live_bytes_, 0U);
  EXPECT_EQ(dispatcher_.State(now_ns_).leased_bytes, 0U);
  for (const auto& [id, request] : requests_) EXPECT_EQ(request.fate, Fate::kOver);
}

// ---- from outside

void World::External() {
  const uint64_t kind = random_.Below(1000);
  if (kind < 900) {
    Submit();
  } else if (kind < 996) {
    Cancel();
  } else if (kind < 998) {
    Load();
  } else {
    Unload();
  }
  double work_ms = 0;
  for (const auto& [id, model] : models_)
    work_ms += LeastWorkMs(model.offer.choices) / static_cast<double>(models_.size());
  const double mean_ms = std::max(work_ms, 1.0) / settings_.scheduler.cores / settings_.load;
  next_external_ns_ = now_ns_ + static_cast<uint64_t>(2 * Uniform() * mean_ms * kNsPerMs);
}

void World::Submit() {
  const std::string name = fmt::format("m{}", random_.Below(2 * settings_.models));
  // Bursts, as of a client with many inputs.
  const uint64_t count = random_.Below(8) == 0 ? 1 + random_.Below(12) : 1;
  for (uint64_t i = 0; i < count; ++i) {
    KnownRequest known;
    known.priority = static_cast<uint32_t>(random_.Below(3));
    if (random_.Below(4) == 0) {
      known.deadline_ns = now_ns_ + static_cast<uint64_t>(Uniform() * 400 * kNsPerMs);
    }
    const auto id = dispatcher_.Submit(name, Priority{static_cast<uint8_t>(known.priority)},
                                       known.deadline_ns, now_ns_);
    if (!id.ok()) {
      ++counted_.refused;
      continue;
    }
    ++counted_.submitted;
    ++waiting_;
    const auto model = std::find_if(models_.begin(), models_.end(), [&](const auto& each) {
      return each.second.offer.name == name && !each.second.is_leaving;
    });
    ASSERT_NE(model, models_.end());
    known.model = model->first;
    Flow& flow = model->second.flows[known.priority];
    if (flow.waiting.empty()) flow.since_ns = now_ns_;
    if (flow.waiting.empty()) flow.loads_before = loads_;
    flow.waiting.insert(*id);
    ASSERT_TRUE(requests_.emplace(*id, known).second);
    recent_.push_back(*id);
  }
}

void World::Cancel() {
  if (recent_.empty()) return;
  // Also of those that run or are over.
  const RequestId id =
      recent_[recent_.size() - 1 - random_.Below(std::min<size_t>(recent_.size(), 200))];
  const bool waits = requests_.contains(id) && requests_.at(id).fate == Fate::kWaiting;
  ASSERT_EQ(dispatcher_.Cancel(id), waits);
  if (!waits) return;
  EndRequest(id, Fate::kWaiting);
  ++counted_.cancelled;
}

void World::Load() {
  ModelOffer offer = RandomOffer();
  const auto id = dispatcher_.BeginLoad(offer);
  const bool is_known = std::any_of(models_.begin(), models_.end(), [&](const auto& each) {
    return each.second.offer.name == offer.name;
  });
  if (is_known) {
    ASSERT_FALSE(id.ok());
    ASSERT_EQ(id.error().code, Code::kAlreadyExists);
    return;
  }
  if (!id.ok()) {
    ASSERT_EQ(id.error().code, Code::kOutOfBudget);
    return;
  }
  models_[*id].offer = std::move(offer);
  ++loads_;
}

void World::Unload() {
  const std::string name = fmt::format("m{}", random_.Below(2 * settings_.models));
  const auto leaving = dispatcher_.BeginUnload(name);
  if (!leaving.ok()) {
    ASSERT_EQ(leaving.error().code, Code::kNotFound);
    return;
  }
  KnownModel& model = models_.at(leaving->model);
  ASSERT_EQ(model.offer.name, name);
  ASSERT_FALSE(model.is_leaving);
  model.is_leaving = true;
  for (const RequestId id : leaving->waiting) {
    EndRequest(id, Fate::kWaiting);
    ++counted_.unloaded;
  }
  for (const Flow& flow : model.flows) ASSERT_TRUE(flow.waiting.empty());
}

// ---- inside

void World::Schedule(RunnerId runner, double in_ms) {
  events_.push({now_ns_ + static_cast<uint64_t>(in_ms * kNsPerMs), ++orders_, runner});
}

void World::Inside(const Event& event) {
  KnownRunner& runner = runners_.at(event.runner);
  if (!runner.is_leaving) {
    EndConvoy(event.runner);
    return;
  }
  const KnownModel& model = models_.at(runner.model);
  ReturnBytes(model.offer.choices[runner.choice].bytes);
  models_.at(runner.model).runners.erase(event.runner);
  runners_.erase(event.runner);
  --discards_pending_;
  dispatcher_.Discarded(event.runner);
}

void World::EndConvoy(RunnerId id) {
  KnownRunner& runner = runners_.at(id);
  const PlanChoice& plan = models_.at(runner.model).offer.choices[runner.choice];
  ASSERT_TRUE(runner.is_busy);
  const bool starts = !runner.is_fresh || random_.Below(50) != 0;
  const bool runs = starts && random_.Below(50) != 0;
  if (runner.is_fresh && starts) {
    dispatcher_.CountStarted(id);
    ++counted_.runners_started;
  }
  for (const RequestId request : runner.requests) {
    const bool is_answered = runs && random_.Below(50) != 0;
    dispatcher_.CountAnswer(
        id, is_answered ? Dispatcher::Answer::kOutputs : Dispatcher::Answer::kFailure);
    ++(is_answered ? counted_.answered : counted_.failed);
    EndRequest(request, Fate::kRunning);
  }
  runner.requests.clear();
  runner.is_busy = false;
  runner.is_fresh = false;
  live_threads_ -= plan.threads;
  --live_convoys_;
  if (!runs) {
    ReturnBytes(plan.bytes);
    models_.at(runner.model).runners.erase(id);
    runners_.erase(id);
  }
  dispatcher_.Finish(id, runs ? RunnerFate::kKept : RunnerFate::kDestroyed, now_ns_);
}

void World::EndUnloads() {
  bool changed = false;
  for (auto model = models_.begin(); model != models_.end();) {
    const auto id = model->first;
    ASSERT_EQ(dispatcher_.has_runners(id), !model->second.runners.empty());
    if (!model->second.is_leaving || dispatcher_.has_runners(id)) {
      ++model;
      continue;
    }
    ReturnBytes(model->second.offer.loaded_bytes);
    departed_.push_back({model->second.offer, now_ns_});
    model = models_.erase(model);
    dispatcher_.EndUnload(id);
    changed = true;
  }
  if (changed) Decide();
}

void World::Decide() {
  const Decisions decisions = dispatcher_.Decide(now_ns_);
  for (const RequestId id : decisions.expired) {
    ASSERT_NE(requests_.at(id).deadline_ns, 0U);
    ASSERT_LE(requests_.at(id).deadline_ns, now_ns_);
    EndRequest(id, Fate::kWaiting);
    ++counted_.expired;
  }
  for (auto& [id, model] : models_) {
    if (model.is_counted || !dispatcher_.is_admitted(id)) continue;
    TakeBytes(model.offer.loaded_bytes);
    model.is_counted = true;
  }
  for (const RunnerId id : decisions.discard) {
    KnownRunner& runner = runners_.at(id);
    ASSERT_FALSE(runner.is_busy);
    ASSERT_FALSE(runner.is_leaving);
    runner.is_leaving = true;
    ++discards_pending_;
    Schedule(id, kDiscardMsMax * Uniform());
  }
  for (const Convoy& convoy : decisions.start) BeginConvoy(convoy);
  // Never idle while something waits, for a reservation or for fairness; for gathering a moment.
  ASSERT_TRUE(waiting_ == 0 || live_convoys_ > 0 || discards_pending_ > 0 ||
              dispatcher_.NextWake(now_ns_) > now_ns_);
}

void World::BeginConvoy(const Convoy& convoy) {
  KnownModel& model = models_.at(convoy.model);
  ASSERT_FALSE(model.is_leaving);
  ASSERT_TRUE(model.is_counted);
  const PlanChoice& plan = model.offer.choices.at(convoy.choice);
  if (convoy.origin == RunnerOrigin::kFresh) {
    ASSERT_FALSE(runners_.contains(convoy.runner));
    runners_[convoy.runner].model = convoy.model;
    runners_[convoy.runner].choice = convoy.choice;
    model.runners.insert(convoy.runner);
    TakeBytes(plan.bytes);
  }
  KnownRunner& runner = runners_.at(convoy.runner);
  ASSERT_FALSE(runner.is_busy || runner.is_leaving);
  ASSERT_EQ(runner.model, convoy.model);
  ASSERT_EQ(runner.choice, convoy.choice);
  ASSERT_FALSE(convoy.requests.empty());
  ASSERT_LE(convoy.requests.size(), plan.batch);
  runner.is_busy = true;
  runner.requests = convoy.requests;
  live_threads_ += plan.threads;
  ++live_convoys_;
  ASSERT_LE(live_threads_, settings_.scheduler.cores);
  ASSERT_LE(live_convoys_, settings_.scheduler.convoys_max);
  ++counted_.convoys;
  for (const RequestId id : convoy.requests) {
    KnownRequest& request = requests_.at(id);
    ASSERT_EQ(request.fate, Fate::kWaiting);
    ASSERT_EQ(request.model, convoy.model);
    ASSERT_TRUE(request.deadline_ns == 0 || request.deadline_ns > now_ns_);
    request.fate = Fate::kRunning;
    Flow& flow = model.flows[request.priority];
    flow.waiting.erase(id);
    flow.since_ns = now_ns_;
    flow.loads_before = loads_;
    --waiting_;
    ++running_;
  }
  // No less than a millisecond is predicted for a start: overruns leave room for the discards
  // before.
  const double took = 0.5 + (settings_.overrun_max - kDiscardMsMax - 0.5) * Uniform();
  Schedule(convoy.runner, took * ConvoyMs(plan, convoy.origin));
}

// ---- the books

void World::TakeBytes(uint64_t bytes) {
  live_bytes_ += bytes;
  ASSERT_LE(live_bytes_, settings_.scheduler.budget_bytes);
}

void World::ReturnBytes(uint64_t bytes) {
  ASSERT_LE(bytes, live_bytes_);
  live_bytes_ -= bytes;
}

void World::EndRequest(RequestId id, Fate from) {
  KnownRequest& request = requests_.at(id);
  ASSERT_EQ(request.fate, from) << "answered twice";
  request.fate = Fate::kOver;
  --(from == Fate::kWaiting ? waiting_ : running_);
  if (from == Fate::kWaiting) models_.at(request.model).flows[request.priority].waiting.erase(id);
  requests_.erase(id);
}

/// The bound of scheduler.h, with the models that came and went meanwhile.
double World::BoundMs(const KnownModel& model, const Flow& flow) const {
  const double aging_ms = static_cast<double>(settings_.scheduler.aging_ns) / kNsPerMs;
  const double own_ms = LongestCoreMs(model.offer);
  double longest_ms = 0;
  double ahead_ms = 2 * own_ms;
  const auto add = [&](const ModelOffer& other) {
    longest_ms = std::max(longest_ms, LongestMs(other));
    ahead_ms += other.weight * (aging_ms + 3 * own_ms / model.offer.weight) + LongestCoreMs(other);
  };
  for (const auto& [id, other] : models_) {
    if (&other != &model) add(other.offer);
  }
  for (auto gone = departed_.rbegin(); gone != departed_.rend() && gone->left_ns >= flow.since_ns;
       ++gone) {
    add(gone->offer);
  }
  longest_ms = std::max(longest_ms, LongestMs(model.offer));
  const double loads = static_cast<double>(loads_ - flow.loads_before);
  return 8 * aging_ms + settings_.overrun_max * ((1 + loads) * longest_ms + ahead_ms);
}

void World::CheckWaits() {
  if (steps_ % 16 != 0) return;
  for (const auto& [id, model] : models_) {
    for (const Flow& flow : model.flows) {
      if (flow.waiting.empty()) continue;
      const double waited_ms = static_cast<double>(now_ns_ - flow.since_ns) / kNsPerMs;
      const double part = waited_ms / BoundMs(model, flow);
      longest_wait_of_bound_ = std::max(longest_wait_of_bound_, part);
      ASSERT_LE(part, 1) << "a queue of " << model.offer.name << " starves: " << waited_ms << " ms";
    }
  }
}

void World::CheckState() {
  const SchedulerState state = dispatcher_.State(now_ns_);
  // The dispatcher's lease begins with the decision and ends with the memory: as the books here.
  ASSERT_EQ(state.leased_bytes, live_bytes_);
  ASSERT_LE(state.leased_peak_bytes, settings_.scheduler.budget_bytes);
  ASSERT_EQ(state.waiting, waiting_);
  ASSERT_EQ(state.running, running_);
  ASSERT_EQ(state.counts.submitted, counted_.submitted);
  ASSERT_EQ(state.counts.answered, counted_.answered);
  ASSERT_EQ(state.counts.failed, counted_.failed);
  ASSERT_EQ(state.counts.cancelled, counted_.cancelled);
  ASSERT_EQ(state.counts.expired, counted_.expired);
  ASSERT_EQ(state.counts.unloaded, counted_.unloaded);
  ASSERT_EQ(state.counts.refused, counted_.refused);
  ASSERT_EQ(state.counts.convoys, counted_.convoys);
  ASSERT_EQ(state.counts.runners_started, counted_.runners_started);
  ASSERT_EQ(counted_.submitted, waiting_ + running_ + counted_.answered + counted_.failed +
                                    counted_.cancelled + counted_.expired + counted_.unloaded);
}

}  // namespace coracle::serve

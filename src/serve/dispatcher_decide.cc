// What is to be done now: the decisions of the dispatcher.
#include <algorithm>
#include <cmath>

#include "serve/dispatcher.h"

namespace coracle::serve {
namespace {

// A plan that fits now is not taken if it costs this many times what the best plan would, unless it
// is done before that one could be.
constexpr double kCostMax = 2;

uint64_t Nanoseconds(double ms) { return static_cast<uint64_t>(std::ceil(ms * 1e6)); }

uint64_t Minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

uint32_t Minus(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }

bool Fits(const PlanChoice& plan, const Room& room) {
  return plan.bytes <= room.bytes && plan.threads <= room.cores && room.convoys > 0;
}

}  // namespace

Decisions Dispatcher::Decide(uint64_t now_ns) {
  Decisions decisions;
  Expire(now_ns, decisions);
  DiscardIdleOfLeaving(decisions);
  const uint64_t arriving_bytes = AdmitArriving(decisions);
  while (StartOne(now_ns, arriving_bytes, decisions)) {
  }
  CORACLE_CHECK(ledger_.leased_bytes() <= ledger_.budget_bytes());
  CORACLE_CHECK(busy_threads_ <= settings_.cores && busy_count_ <= settings_.convoys_max);
  return decisions;
}

void Dispatcher::Expire(uint64_t now_ns, Decisions& decisions) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    const RequestId id = deadlines_.begin()->second;
    Forget(id);
    ++counts_.expired;
    decisions.expired.push_back(id);
  }
}

void Dispatcher::DiscardIdleOfLeaving(Decisions& decisions) {
  std::vector<RunnerId> idle;
  for (const auto& [order, id] : idle_) {
    if (models_.at(runners_.at(id).model).stage == Stage::kLeaving) idle.push_back(id);
  }
  for (const RunnerId id : idle) BeginDiscard(id, decisions);
}

/// Returns the bytes that models still wait for: these come before any convoy.
uint64_t Dispatcher::AdmitArriving(Decisions& decisions) {
  uint64_t missing = 0;
  for (auto& [id, model] : models_) {
    if (model.stage != Stage::kArriving) continue;
    const uint64_t bytes = model.offer.loaded_bytes;
    if (missing == 0 && bytes <= ledger_.free_bytes()) {
      ledger_.Take(bytes);
      model.stage = Stage::kAdmitted;
    } else {
      missing += bytes;
    }
  }
  if (missing > 0) FreeUp(missing, std::nullopt, decisions);
  return missing;
}

std::vector<ModelId> Dispatcher::Ranked(uint64_t now_ns) const {
  struct Rank {
    uint32_t level;
    double used_ms;
    ModelId id;
  };
  std::vector<Rank> ranks;
  for (const auto& [id, model] : models_) {
    if (model.queue.count() > 0 && !IsHeld(model, now_ns))
      ranks.push_back({model.queue.Level(now_ns), model.share.used_ms, id});
  }
  std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
    if (a.level != b.level) return a.level > b.level;
    if (a.used_ms != b.used_ms) return a.used_ms < b.used_ms;
    return a.id < b.id;
  });
  std::vector<ModelId> ids;
  ids.reserve(ranks.size());
  for (const Rank& rank : ranks) ids.push_back(rank.id);
  return ids;
}

bool Dispatcher::IsHeld(const Model& model, uint64_t now_ns) const {
  return model.queue.count() < model.gathers && now_ns < model.gathers_until_ns &&
         model.queue.count() == waiting_.size();  // nothing of other models waits
}

bool Dispatcher::HasOldQueue(uint64_t now_ns) const {
  const uint64_t spans_ns = kPassedSpansMax * settings_.aging_ns;
  return std::any_of(models_.begin(), models_.end(), [&](const auto& each) {
    const RequestQueue& queue = each.second.queue;
    return queue.count() > 0 && now_ns - queue.unserved_since_ns() >= spans_ns;
  });
}

Demand Dispatcher::DemandOf(const Model& model) const {
  return {model.offer.choices, model.warm, model.queue.count(), model.work_ms};
}

/// True if nobody but `model` is about to use the runner.
bool Dispatcher::IsSpare(const Runner& idle, std::optional<ModelId> model) const {
  return idle.model == model || models_.at(idle.model).queue.count() == 0;
}

Room Dispatcher::FreeRoom(ModelId model, const Claims& claims) const {
  uint64_t spare_bytes = 0;
  for (const auto& [order, id] : idle_) {
    const Runner& runner = runners_.at(id);
    if (IsSpare(runner, model)) spare_bytes += runner.bytes;
  }
  Room room;
  room.bytes = Minus(ledger_.free_bytes() + leaving_bytes_ + idle_bytes_, claims.bytes);
  room.unused_bytes = std::min(
      room.bytes, Minus(ledger_.free_bytes() + leaving_bytes_ + spare_bytes, claims.bytes));
  room.cores = Minus(settings_.cores, busy_threads_ + claims.cores);
  room.convoys = Minus(settings_.convoys_max, busy_count_ + claims.convoys);
  return room;
}

Room Dispatcher::WholeRoom() const {
  uint64_t loaded = 0;
  for (const auto& [id, model] : models_) loaded += model.offer.loaded_bytes;
  const uint64_t bytes = settings_.budget_bytes - loaded;
  return {bytes, bytes, settings_.cores, settings_.convoys_max};
}

bool Dispatcher::StartOne(uint64_t now_ns, uint64_t arriving_bytes, Decisions& decisions) {
  Claims claims{.bytes = arriving_bytes};
  std::optional<Reservation> reservation;
  if (waiting_.empty() || busy_threads_ == settings_.cores || busy_count_ == settings_.convoys_max)
    return false;
  const std::vector<ModelId> ranked = Ranked(now_ns);
  std::vector<Demand> demands;
  demands.reserve(ranked.size());
  for (const ModelId id : ranked) demands.push_back(DemandOf(models_.at(id)));
  for (size_t i = 0; i < ranked.size(); ++i) {
    const Room room = FreeRoom(ranked[i], claims);
    const std::span<const Demand> rest = std::span(demands).subspan(i);
    const std::optional<uint32_t> choice = reservation
                                               ? ChooseBeside(rest, room, *reservation, now_ns)
                                               : ChooseNow(rest, room, now_ns);
    if (choice) {
      if (TryStart(ranked[i], *choice, claims, now_ns, decisions)) return true;
    } else if (!reservation) {
      if (HasOldQueue(now_ns)) return false;
      reservation = Foresee(rest, room, now_ns);
    }
  }
  return false;
}

/// When the first of `ranked` can have the plan that it would get from an empty machine, if every
/// convoy ends as predicted, and what is free beside it then.
Dispatcher::Reservation Dispatcher::Foresee(std::span<const Demand> ranked, Room room,
                                            uint64_t now_ns) const {
  Reservation reservation;
  const std::optional<uint32_t> choice = ChoosePlan(ranked, WholeRoom());
  CORACLE_CHECK(choice.has_value());  // BeginLoad: the smallest plan fits beside all models
  reservation.choice = *choice;
  const PlanChoice& plan = ranked[0].choices[*choice];
  std::vector<const Runner*> busy;
  for (const auto& [id, runner] : runners_) {
    if (runner.stage == RunnerStage::kBusy) busy.push_back(&runner);
  }
  std::sort(busy.begin(), busy.end(),
            [](const Runner* a, const Runner* b) { return a->ends_ns < b->ends_ns; });
  reservation.start_ns = now_ns;
  for (const Runner* runner : busy) {
    if (Fits(plan, room)) break;
    room.bytes += runner->bytes;
    room.cores += runner->threads;
    ++room.convoys;
    reservation.start_ns = std::max(now_ns, runner->ends_ns);
  }
  reservation.beside.bytes = Minus(room.bytes, plan.bytes);
  reservation.beside.cores = Minus(room.cores, plan.threads);
  reservation.beside.convoys = Minus(room.convoys, 1);
  return reservation;
}

std::optional<uint32_t> Dispatcher::ChooseNow(std::span<const Demand> ranked, const Room& room,
                                              uint64_t now_ns) const {
  const std::optional<uint32_t> choice = ChoosePlan(ranked, room);
  if (!choice || busy_count_ == 0) return choice;
  const Demand& first = ranked[0];
  const Reservation later = Foresee(ranked, room, now_ns);
  const PlanChoice& fits = first.choices[*choice];
  const PlanChoice& best = first.choices[later.choice];
  const Room whole = WholeRoom();
  if (ScarceMs(fits, first.waiting, whole) <= kCostMax * ScarceMs(best, first.waiting, whole))
    return choice;
  const uint64_t fits_ends_ns = now_ns + Nanoseconds(ConvoyMs(fits, OriginOf(first, *choice)));
  const uint64_t best_ends_ns =
      later.start_ns + Nanoseconds(ConvoyMs(best, OriginOf(first, later.choice)));
  return fits_ends_ns <= best_ends_ns ? choice : std::nullopt;
}

std::optional<uint32_t> Dispatcher::ChooseBeside(std::span<const Demand> ranked, Room room,
                                                 const Reservation& reservation,
                                                 uint64_t now_ns) const {
  Room before = room;
  before.ms_max = static_cast<double>(reservation.start_ns - now_ns) / 1e6;
  if (const std::optional<uint32_t> choice = ChoosePlan(ranked, before)) return choice;
  room.bytes = std::min(room.bytes, reservation.beside.bytes);
  room.unused_bytes = std::min(room.bytes, room.unused_bytes);
  room.cores = std::min(room.cores, reservation.beside.cores);
  room.convoys = std::min(room.convoys, reservation.beside.convoys);
  return ChoosePlan(ranked, room);
}

/// Starts the convoy, or, if bytes that idle must be freed first, has them freed and claims them.
bool Dispatcher::TryStart(ModelId id, uint32_t choice, Claims& claims, uint64_t now_ns,
                          Decisions& decisions) {
  const Model& model = models_.at(id);
  const PlanChoice& plan = model.offer.choices[choice];
  const uint64_t coming_bytes = ledger_.free_bytes() + leaving_bytes_;
  const bool has_bytes =
      model.warm[choice] > 0 ||
      (plan.bytes <= ledger_.free_bytes() && plan.bytes <= Minus(coming_bytes, claims.bytes));
  if (has_bytes) {
    Start(id, choice, now_ns, decisions);
    return true;
  }
  claims.bytes += plan.bytes;
  claims.cores += plan.threads;
  ++claims.convoys;
  FreeUp(claims.bytes, id, decisions);
  return false;
}

void Dispatcher::Start(ModelId id, uint32_t choice, uint64_t now_ns, Decisions& decisions) {
  Model& model = models_.at(id);
  const PlanChoice& plan = model.offer.choices[choice];
  Convoy convoy;
  convoy.origin = model.warm[choice] > 0 ? RunnerOrigin::kWarm : RunnerOrigin::kFresh;
  convoy.runner = Lease(id, choice, convoy.origin);
  convoy.model = id;
  convoy.choice = choice;
  convoy.requests = model.queue.Take(std::min(plan.batch, model.queue.count()), now_ns);
  for (const RequestId request : convoy.requests) {
    const auto found = waiting_.find(request);
    const uint64_t deadline_ns = found->second.request.deadline_ns;
    if (deadline_ns != 0) deadlines_.erase({deadline_ns, request});
    waiting_.erase(found);
  }
  Runner& runner = runners_.at(convoy.runner);
  runner.requests = static_cast<uint32_t>(convoy.requests.size());
  runner.unanswered = runner.requests;
  const double convoy_ms = ConvoyMs(plan, convoy.origin);
  runner.ends_ns = now_ns + Nanoseconds(convoy_ms);
  running_requests_ += runner.unanswered;
  model.gathers = 0;
  busy_threads_ += plan.threads;
  ++busy_count_;
  ++counts_.convoys;
  fair_share_.Charge(model.share, convoy_ms * plan.threads);
  decisions.start.push_back(std::move(convoy));
}

RunnerId Dispatcher::Lease(ModelId model, uint32_t choice, RunnerOrigin origin) {
  if (origin == RunnerOrigin::kWarm) {
    // The one that was used last: its pool is the likeliest to be in the caches.
    const auto idle = std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& each) {
      const Runner& runner = runners_.at(each.second);
      return runner.model == model && runner.choice == choice;
    });
    const RunnerId id = idle->second;
    Runner& runner = runners_.at(id);
    idle_.erase(runner.idle_order);
    idle_bytes_ -= runner.bytes;
    --models_.at(model).warm[choice];
    runner.stage = RunnerStage::kBusy;
    return id;
  }
  const RunnerId id{++ids_given_};
  const PlanChoice& plan = models_.at(model).offer.choices[choice];
  ledger_.Take(plan.bytes);
  ++models_.at(model).runner_count;
  runners_.emplace(
      id, Runner{.model = model, .choice = choice, .bytes = plan.bytes, .threads = plan.threads});
  return id;
}

void Dispatcher::FreeUp(uint64_t bytes, std::optional<ModelId> model, Decisions& decisions) {
  const uint64_t coming_bytes = ledger_.free_bytes() + leaving_bytes_;
  if (coming_bytes >= bytes) return;
  std::vector<RunnerId> order;
  for (const auto& [idle_order, id] : idle_) order.push_back(id);
  std::stable_partition(order.begin(), order.end(),
                        [&](RunnerId id) { return IsSpare(runners_.at(id), model); });
  std::vector<RunnerId> victims;
  uint64_t victim_bytes = 0;
  for (const RunnerId id : order) {
    if (coming_bytes + victim_bytes >= bytes) break;
    victims.push_back(id);
    victim_bytes += runners_.at(id).bytes;
  }
  // Where the last one alone brings enough, earlier and smaller ones may stay.
  for (const RunnerId id : victims) {
    const uint64_t without = victim_bytes - runners_.at(id).bytes;
    if (coming_bytes + without >= bytes) {
      victim_bytes = without;
    } else {
      BeginDiscard(id, decisions);
    }
  }
}

void Dispatcher::BeginDiscard(RunnerId id, Decisions& decisions) {
  Runner& runner = runners_.at(id);
  CORACLE_CHECK(runner.stage == RunnerStage::kIdle);
  runner.stage = RunnerStage::kLeaving;
  idle_.erase(runner.idle_order);
  idle_bytes_ -= runner.bytes;
  leaving_bytes_ += runner.bytes;
  --models_.at(runner.model).warm[runner.choice];
  decisions.discard.push_back(id);
}

}  // namespace coracle::serve

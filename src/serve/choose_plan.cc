#include "serve/choose_plan.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace coracle::serve {
namespace {

// What starting a session costs, for choosing only: tables and workers, then each page of the pool
// is touched for the first time and later freed: some 3 to 5 us for 4 KiB in a virtual machine, as
// in a TEE, where pages are added one by one.
constexpr double kStartMs = 1.0;
constexpr double kStartMsPerMiB = 1.0;

// A runner in memory that nobody else uses will stay warm and serve again: its start is shared by
// so many convoys. One that drives out others may be driven out as soon, so it has to pay at once.
constexpr double kReuses = 8;

// A plan that is this near to the best one is as good, and predictions are no better than that.
constexpr double kGoodEnough = 0.97;

bool Fits(const PlanChoice& choice, const Room& room, double ms) {
  return choice.bytes <= room.bytes && choice.threads <= room.cores && room.convoys > 0 &&
         ms <= room.ms_max;
}

double StartMs(const PlanChoice& choice) {
  return kStartMs + kStartMsPerMiB * static_cast<double>(choice.bytes) / (1024.0 * 1024.0);
}

void Occupy(const PlanChoice& choice, RunnerOrigin origin, Room& room) {
  room.bytes -= choice.bytes;
  if (origin == RunnerOrigin::kFresh)
    room.unused_bytes -= std::min(choice.bytes, room.unused_bytes);
  room.unused_bytes = std::min(room.unused_bytes, room.bytes);
  room.cores -= choice.threads;
  --room.convoys;
}

/// Useful core-milliseconds per millisecond: comparable between models.
double UsefulRate(const Demand& demand, uint32_t choice, uint32_t waiting, RunnerOrigin origin,
                  const Room& room) {
  const PlanChoice& plan = demand.choices[choice];
  double ms = plan.predicted_ms;
  if (origin == RunnerOrigin::kFresh)
    ms += StartMs(plan) / (plan.bytes <= room.unused_bytes ? kReuses : 1);
  return std::min(plan.batch, waiting) * demand.work_ms / ms;
}

/// What `demand` would add by one convoy, taking its room.
double AddOne(const Demand& demand, Room& room) {
  double best = 0;
  uint32_t best_choice = 0;
  for (uint32_t i = 0; i < demand.choices.size(); ++i) {
    const PlanChoice& plan = demand.choices[i];
    if (!Fits(plan, room, ConvoyMs(plan, OriginOf(demand, i)))) continue;
    const double rate = UsefulRate(demand, i, demand.waiting, OriginOf(demand, i), room);
    if (rate > best) {
      best = rate;
      best_choice = i;
    }
  }
  if (best > 0) Occupy(demand.choices[best_choice], OriginOf(demand, best_choice), room);
  return best;
}

/// The useful rate of the whole machine if the first of `ranked` runs `choice` now: then each other
/// model has its turn, then the first goes on in the same way.
double MachineRate(std::span<const Demand> ranked, uint32_t choice, Room room) {
  const Demand& first = ranked[0];
  const PlanChoice& plan = first.choices[choice];
  double rate = UsefulRate(first, choice, first.waiting, OriginOf(first, choice), room);
  Occupy(plan, OriginOf(first, choice), room);
  for (const Demand& other : ranked.subspan(1)) {
    if (room.cores == 0) return rate;
    rate += AddOne(other, room);
  }
  uint32_t left = first.waiting - std::min(plan.batch, first.waiting);
  for (uint32_t warm = first.warm[choice]; left > 0; warm -= std::min(warm, 1U)) {
    // One of the warm ones, if any, runs the first convoy.
    const RunnerOrigin origin = warm > 1 ? RunnerOrigin::kWarm : RunnerOrigin::kFresh;
    if (!Fits(plan, room, ConvoyMs(plan, origin))) return rate;
    rate += UsefulRate(first, choice, left, origin, room);
    left -= std::min(plan.batch, left);
    Occupy(plan, origin, room);
  }
  return rate;
}

}  // namespace

double LeastWorkMs(std::span<const PlanChoice> choices) {
  CORACLE_CHECK(!choices.empty());
  double least = std::numeric_limits<double>::infinity();
  for (const PlanChoice& plan : choices)
    least = std::min(least, plan.predicted_ms * plan.threads / plan.batch);
  return least;
}

double ConvoyMs(const PlanChoice& choice, RunnerOrigin origin) {
  return choice.predicted_ms + (origin == RunnerOrigin::kFresh ? StartMs(choice) : 0);
}

std::optional<uint32_t> ChoosePlan(std::span<const Demand> ranked, const Room& room) {
  CORACLE_CHECK(!ranked.empty() && ranked[0].waiting > 0);
  const Demand& first = ranked[0];
  std::vector<double> rates(first.choices.size(), -1);
  double best = -1;
  for (uint32_t i = 0; i < rates.size(); ++i) {
    if (!Fits(first.choices[i], room, ConvoyMs(first.choices[i], OriginOf(first, i)))) continue;
    rates[i] = MachineRate(ranked, i, room);
    best = std::max(best, rates[i]);
  }
  std::optional<uint32_t> chosen;
  for (uint32_t i = 0; i < rates.size(); ++i) {
    if (rates[i] < 0 || rates[i] < kGoodEnough * best) continue;
    if (first.warm[i] > 0) return i;
    if (!chosen) chosen = i;
  }
  return chosen;
}

double ScarceMs(const PlanChoice& choice, uint32_t waiting, const Room& whole) {
  const double cores = static_cast<double>(choice.threads) / whole.cores;
  const double bytes = static_cast<double>(choice.bytes) / static_cast<double>(whole.bytes);
  return std::max(cores, bytes) * choice.predicted_ms / std::min(choice.batch, waiting);
}

}  // namespace coracle::serve

#include "serve/plan_front.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/units.h"
#include "graph/convoy.h"
#include "plan/planner.h"
#include "serve/secure_bytes.h"

namespace coracle::serve {
namespace {

/// Budgets that are planned for one batch and number of workers: from the least that suffices to
/// the one that changes nothing any more, each so many times the one before it. A planned network's
/// time falls steeply at first and then with the weights that stay open, over the logarithm of its
/// bytes; more points than these would be dropped again by kWorthwhile.
constexpr int kPoints = 6;
/// A choice that is larger, or takes more inputs or workers, is faster per input by this much.
constexpr double kWorthwhile = 0.97;
/// Where plans have too little room, ever fewer are worth it; past this, the largest go.
constexpr double kWorthwhileLeast = 0.1;

double MsPerInput(const PlanChoice& choice) {
  return choice.predicted_ms / static_cast<double>(choice.batch);
}

bool NoLarger(const PlanChoice& a, const PlanChoice& b) {
  return a.bytes <= b.bytes && a.batch <= b.batch && a.threads <= b.threads;
}

/// 1, 2, 4, ... and `most` itself.
std::vector<uint32_t> Doublings(uint32_t most) {
  std::vector<uint32_t> counts;
  for (uint32_t count = 1; count < most; count *= 2) counts.push_back(count);
  counts.push_back(most);
  return counts;
}

/// Plans one batch and number of workers at several budgets.
class Curve {
 public:
  Curve(const graph::Convoy& convoy, const plan::MachineRates& rates, uint32_t threads)
      : graph_(convoy.one()), planner_(convoy, rates, threads) {}

  /// The choice with the fewest bytes.
  Result<PlannedChoice> Least() {
    const uint64_t bytes = planner_.Least(plan::Passes::kAny).pool_bytes;
    TRY_ASSIGN(plan::Plan plan, Make(bytes, plan::Pinning::kNone));
    return Choose(std::move(plan));
  }

  /// Adds choices of at most `room` bytes, if there are any.
  Status AppendTo(std::vector<PlannedChoice>& choices, uint64_t room) {
    TRY_ASSIGN(const PlannedChoice least, Least());
    if (least.choice.bytes > room) return {};
    // What a runner keeps beside its pool hardly depends on the plan; what does not fit is dropped.
    const uint64_t most = room - (least.choice.bytes - least.plan.pool_bytes);
    TRY_ASSIGN(plan::Plan largest, Make(most, plan::Pinning::kAuto));
    std::vector<PlannedChoice> made = {least};
    const auto from = static_cast<double>(least.plan.pool_bytes);
    const double ratio = static_cast<double>(largest.pool_bytes) / from;
    for (int i = 1; i + 1 < kPoints; ++i) {
      const double bytes = from * std::pow(ratio, double{1} * i / (kPoints - 1));
      TRY_ASSIGN(plan::Plan plan,
                 Make(static_cast<uint64_t>(std::ceil(bytes)), plan::Pinning::kAuto));
      made.push_back(Choose(std::move(plan)));
    }
    made.push_back(Choose(std::move(largest)));
    std::erase_if(made, [&](const PlannedChoice& planned) { return planned.choice.bytes > room; });
    std::ranges::move(made, std::back_inserter(choices));
    return {};
  }

 private:
  Result<plan::Plan> Make(uint64_t budget_bytes, plan::Pinning pinning) {
    return planner_.Make(budget_bytes, pinning, plan::Passes::kAny);
  }

  PlannedChoice Choose(plan::Plan plan) const {
    const PlanChoice choice{plan.batch, plan.threads, RunnerBytes(graph_, plan), plan.predicted_ms};
    return {choice, std::move(plan)};
  }

  const graph::Graph& graph_;
  plan::Planner planner_;
};

/// Leaves those that are faster per input than `worthwhile` times any that is no larger.
void KeepFront(double worthwhile, std::vector<PlannedChoice>& choices) {
  std::vector<PlannedChoice> front;
  for (PlannedChoice& planned : choices) {
    const bool worthless = std::ranges::any_of(front, [&](const PlannedChoice& kept) {
      return NoLarger(kept.choice, planned.choice) &&
             MsPerInput(kept.choice) * worthwhile <= MsPerInput(planned.choice);
    });
    if (!worthless) front.push_back(std::move(planned));
  }
  choices = std::move(front);
}

/// Ascending bytes; of the same bytes, those first that others must beat.
void Sort(std::vector<PlannedChoice>& choices) {
  std::ranges::stable_sort(choices, {}, [](const PlannedChoice& planned) {
    const PlanChoice& choice = planned.choice;
    return std::tuple(choice.bytes, choice.batch, choice.threads, choice.predicted_ms);
  });
}

/// The bytes of a budget that plans may take, and those that a runner may.
struct Shares {
  uint64_t plans_bytes = 0;
  uint64_t runner_bytes = 0;
};

/// Errors: kOutOfBudget if `least`, its plan and the model need more than there is.
Result<Shares> Divide(uint64_t budget_bytes, uint64_t model_bytes, const PlannedChoice& least) {
  const uint64_t plan_bytes = PlanBytes(least.plan);
  const uint64_t needed = model_bytes + plan_bytes + least.choice.bytes;
  if (needed > budget_bytes) {
    return Error{
        Code::kOutOfBudget,
        fmt::format(
            "needs {} (the least plan's pool, {}, what runs it, and the open model), has {}",
            FormatBytes(needed), FormatBytes(least.plan.pool_bytes), FormatBytes(budget_bytes))};
  }
  const uint64_t left = budget_bytes - model_bytes;
  const uint64_t share = std::min(left / kPlansShare, kPlansBytesMax);
  const uint64_t plans_bytes = std::min(std::max(plan_bytes, share), left - least.choice.bytes);
  return Shares{plans_bytes, left - plans_bytes};
}

uint64_t SumOfPlanBytes(const std::vector<PlannedChoice>& choices) {
  uint64_t bytes = 0;
  for (const PlannedChoice& planned : choices) bytes += PlanBytes(planned.plan);
  return bytes;
}

}  // namespace

bool Dominates(const PlanChoice& a, const PlanChoice& b) {
  return NoLarger(a, b) && MsPerInput(a) <= MsPerInput(b);
}

Result<std::vector<PlannedChoice>> PlanFront(const graph::Graph& graph, uint64_t model_bytes,
                                             const FrontSettings& settings) {
  CORACLE_CHECK(settings.threads_max >= 1 && settings.threads_max <= plan::kMaxThreads);
  CORACLE_CHECK(settings.batch_max >= 1);
  Curve single(graph::Convoy(graph), settings.rates, 1);
  TRY_ASSIGN(const PlannedChoice least, single.Least());
  TRY_ASSIGN(const Shares shares, Divide(settings.budget_bytes, model_bytes, least));
  std::vector<PlannedChoice> choices;
  for (const uint32_t batch : Doublings(std::min(settings.batch_max, graph::kMaxBatch))) {
    const Result<graph::Convoy> convoy = graph::Convoy::Make(graph, batch);
    if (!convoy.ok()) {
      // The network computes one input at a time, or so many pass a limit.
      if (batch > 1 && convoy.error().code == Code::kUnsupported) break;
      return convoy.error();
    }
    for (const uint32_t threads : Doublings(settings.threads_max)) {
      if (batch == 1 && threads == 1) {
        TRY(single.AppendTo(choices, shares.runner_bytes));
      } else {
        TRY(Curve(*convoy, settings.rates, threads).AppendTo(choices, shares.runner_bytes));
      }
    }
  }
  Sort(choices);
  double worthwhile = kWorthwhile;
  KeepFront(worthwhile, choices);
  while (choices.size() > 1 &&
         (choices.size() > kFrontMax || SumOfPlanBytes(choices) > shares.plans_bytes)) {
    const size_t before = choices.size();
    KeepFront(worthwhile *= kWorthwhile, choices);
    if (choices.size() == before && worthwhile < kWorthwhileLeast) choices.pop_back();
  }
  return choices;
}

}  // namespace coracle::serve

#include "plan/plan.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"
#include "fmt/format.h"
#include "plan/ladder.h"
#include "plan/liveness.h"
#include "plan/storage.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::NodeIndex;

bool SharesWindows(const Graph& graph, const StorageMap& map) {
  for (size_t step = 0; step < graph.nodes.size(); ++step) {
    if (map.elided[step] && graph.nodes[step].kind() != graph::OpKind::kReshape) return true;
  }
  return false;
}

/// The ways of sharing storages that differ for this graph, fastest first.
std::vector<StorageMap> SharingVariants(const Graph& graph, const std::vector<LiveRange>& ranges) {
  std::vector<uint64_t> least_scratch_bytes;
  for (const graph::Node& node : graph.nodes) {
    least_scratch_bytes.push_back(LeastScratchBytes(graph, node));
  }
  const auto share = [&](Sharing sharing) {
    return ShareStorages(graph, ranges, sharing, least_scratch_bytes);
  };
  std::vector<StorageMap> variants;
  variants.push_back(share(Sharing::kAll));
  if (!SharesWindows(graph, variants[0])) return variants;
  StorageMap selective = share(Sharing::kSelective);
  if (selective.declined_count > 0) variants.push_back(std::move(selective));
  variants.push_back(share(Sharing::kNone));
  return variants;
}

std::vector<Ladder> LaddersOf(const Graph& graph, const std::vector<LiveRange>& ranges,
                              const std::vector<StorageMap>& variants, const PlanRequest& request) {
  std::vector<Ladder> ladders;
  ladders.reserve(variants.size());
  for (const StorageMap& variant : variants) ladders.emplace_back(graph, ranges, variant, request);
  return ladders;
}

Plan SmallestOf(const std::vector<Ladder>& ladders) {
  std::optional<Plan> best;
  for (const Ladder& ladder : ladders) {
    const uint64_t limit_bytes =
        best ? best->pool_bytes : std::numeric_limits<uint64_t>::max() - kPoolAlignment;
    std::optional<Plan> smallest = ladder.Smallest(limit_bytes);
    if (smallest) best = std::move(smallest);
  }
  CORACLE_CHECK(best.has_value());
  return *std::move(best);
}

uint64_t HighestEnd(const Step& step) {
  uint64_t end = 0;
  for (const Part& part : step.parts) {
    if (part.held.bytes > 0) end = std::max(end, part.held.offset + part.held.bytes);
  }
  for (const PoolRange& slot : step.slots) end = std::max(end, slot.offset + slot.bytes);
  for (const PoolRange& range : step.workspaces) end = std::max(end, range.offset + range.bytes);
  return end;
}

/// The step that sets the pool's size: the fullest one.
NodeIndex FullestNode(const Plan& plan) {
  const Step* fullest = nullptr;
  for (const Step& step : plan.steps) {
    if (fullest == nullptr || step.live_bytes > fullest->live_bytes ||
        (step.live_bytes == fullest->live_bytes && HighestEnd(step) > HighestEnd(*fullest))) {
      fullest = &step;
    }
  }
  return fullest == nullptr ? NoIndex<NodeIndex>() : fullest->parts[0].node;
}

/// What `plan` takes at other rates than it was chosen for.
void PredictAgain(const Graph& graph, const MachineRates& rates, Plan& plan) {
  plan.predicted_ms = 0;
  for (Step& step : plan.steps) {
    if (step.parts[0].elided) continue;
    step.predicted_ms = StepMs(graph, plan, step, rates);
    plan.predicted_ms += step.predicted_ms;
  }
}

Error OutOfBudget(const Graph& graph, const Plan& smallest, uint64_t budget_bytes) {
  const NodeIndex node = FullestNode(smallest);
  const std::string layer =
      node == NoIndex<NodeIndex>() ? "" : fmt::format(" (layer {})", graph.node(node).name);
  std::string needed = FormatBytes(smallest.pool_bytes);
  std::string has = FormatBytes(budget_bytes);
  if (needed == has) {  // rounding hides the difference
    needed = fmt::format("{} B", smallest.pool_bytes);
    has = fmt::format("{} B", budget_bytes);
  }
  return Error{Code::kOutOfBudget, fmt::format("needs {}{}, has {}", needed, layer, has)};
}

}  // namespace

std::string_view FormName(Form form) {
  switch (form) {
    case Form::kLayer:
      return "layer";
    case Form::kBand:
      return "band";
    case Form::kCascade:
      return "cascade";
  }
  return "?";
}

uint64_t BlockCount(uint32_t rows, uint32_t block_rows) { return CeilDiv(rows, block_rows); }

std::string_view WeightsModeName(WeightsMode mode) {
  switch (mode) {
    case WeightsMode::kNone:
      return "none";
    case WeightsMode::kStreamed:
      return "streamed";
    case WeightsMode::kHeld:
      return "held";
    case WeightsMode::kPinned:
      return "pinned";
  }
  return "?";
}

Result<Plan> MakePlan(const Graph& graph, const PlanRequest& request) {
  CORACLE_CHECK(graph.stage == graph::Stage::kRows);
  if (request.threads == 0 || request.threads > kMaxThreads) {
    return Error{Code::kInvalidArgument,
                 fmt::format("threads must be 1 to {}, not {}", kMaxThreads, request.threads)};
  }
  const std::vector<LiveRange> ranges = LiveRangesOf(graph);
  const std::vector<StorageMap> variants = SharingVariants(graph, ranges);
  // Whether a budget is refused must not depend on rates or threads: the least plan is found
  // without them, and is always among the candidates.
  Plan best = SmallestOf(LaddersOf(graph, ranges, variants, {}));
  if (best.pool_bytes > request.budget_bytes) return OutOfBudget(graph, best, request.budget_bytes);
  PredictAgain(graph, request.rates, best);
  for (const Ladder& ladder : LaddersOf(graph, ranges, variants, request)) {
    std::optional<Plan> faster = ladder.Fastest(request.budget_bytes, best.predicted_ms);
    if (faster) best = *std::move(faster);
  }
  best.budget_bytes = request.budget_bytes;
  return best;
}

LeastBudget FindLeastBudget(const Graph& graph, Passes /*passes*/) {
  const std::vector<LiveRange> ranges = LiveRangesOf(graph);
  const Plan smallest = SmallestOf(LaddersOf(graph, ranges, SharingVariants(graph, ranges), {}));
  return {smallest.pool_bytes, FullestNode(smallest)};
}

uint64_t UnplannedBytes(const Graph& graph) {
  uint64_t sum = 0;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    sum += TensorBytes(graph, static_cast<graph::TensorIndex>(i));
  }
  for (const graph::Node& node : graph.nodes) sum += node.weights.TotalBytes();
  return sum;
}

}  // namespace coracle::plan

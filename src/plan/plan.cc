#include "plan/plan.h"

#include <algorithm>

#include "base/checked.h"
#include "fmt/format.h"
#include "graph/tensor_bytes.h"
#include "plan/planner.h"

namespace coracle::plan {

using graph::Graph;

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

const Step* FullestStep(const Plan& plan) {
  const auto fullest =
      std::max_element(plan.steps.begin(), plan.steps.end(),
                       [](const Step& a, const Step& b) { return a.live_bytes < b.live_bytes; });
  return fullest == plan.steps.end() ? nullptr : &*fullest;
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

std::string_view TurnsName(Turns turns) {
  return turns == Turns::kTogether ? "together" : "one by one";
}

double PredictedMsPerInput(const Plan& plan) { return plan.predicted_ms / plan.batch; }

Result<Plan> MakePlan(const Graph& graph, const PlanRequest& request) {
  if (request.threads == 0 || request.threads > kMaxThreads) {
    return Error{Code::kInvalidArgument,
                 fmt::format("threads must be 1 to {}, not {}", kMaxThreads, request.threads)};
  }
  TRY_ASSIGN(const graph::Convoy convoy, graph::Convoy::Make(graph, request.batch));
  return Planner(convoy, request.rates, request.threads)
      .Make(request.budget_bytes, request.pinning, request.passes);
}

LeastBudget FindLeastBudget(const Graph& graph, Passes passes) {
  return FindLeastBudget(graph::Convoy(graph), passes);
}

LeastBudget FindLeastBudget(const graph::Convoy& convoy, Passes passes) {
  Planner planner(convoy, {}, 1);
  const Plan& least = planner.Least(passes);
  const Step* const fullest = FullestStep(least);
  return {least.pool_bytes,
          fullest == nullptr ? NoIndex<graph::NodeIndex>() : fullest->parts.front().node};
}

bool IsSinglePass(const Graph& graph, const Plan& plan) {
  std::vector<bool> is_port(plan.tensors.size());
  for (const graph::Port& port : graph.inputs) is_port[Position(port.tensor)] = true;
  for (const graph::Port& port : graph.outputs) is_port[Position(port.tensor)] = true;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    if (plan.tensors[i].home == Home::kOutside && !is_port[i]) return false;
  }
  for (const Step& step : plan.steps) {
    const uint32_t turns = step.turns == Turns::kOneByOne ? plan.batch : 1;
    std::vector<uint32_t> computes(step.parts.size());
    for (const Action& action : step.actions) {
      if (action.kind != ActionKind::kCompute) continue;
      const bool streams = step.parts[action.index].weights == WeightsMode::kStreamed;
      computes[action.index] += turns;
      if (computes[action.index] > 1 && streams) return false;
    }
  }
  return true;
}

uint64_t DecodingBytes(const Graph& graph) {
  uint64_t most = 0;
  for (const graph::Node& node : graph.nodes) {
    most = std::max<uint64_t>(most, node.weights.DecodingBytes());
  }
  return most;
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

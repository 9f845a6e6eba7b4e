#include "cmd/characterize/planned_model.h"

#include <algorithm>

#include "base/check.h"
#include "cmd/support/describe_plan.h"
#include "graph/tensor_bytes.h"
#include "host/posix/clock.h"
#include "plan/planner.h"
#include "runtime/measure_rates.h"

namespace coracle::cmd {
namespace {

const plan::Part* PartOf(const plan::Step& step, graph::NodeIndex node) {
  for (const plan::Part& part : step.parts) {
    if (part.node == node) return &part;
  }
  return nullptr;
}

}  // namespace

Result<PlannedModel> PlannedModel::Make(const graph::Graph& graph, uint64_t budget_bytes) {
  PlannedModel model(graph);
  host::PosixClock clock;
  TRY_ASSIGN(const plan::MachineRates rates, runtime::MeasureRates(clock));
  plan::Planner planner(graph, rates, 1);
  model.least_bytes_ = planner.Least(plan::Passes::kAny).pool_bytes;
  model.single_pass_bytes_ = planner.Least(plan::Passes::kSingle).pool_bytes;
  model.unplanned_bytes_ = plan::UnplannedBytes(graph);
  TRY_ASSIGN(model.plan_, planner.Make(budget_bytes == 0 ? model.single_pass_bytes_ : budget_bytes,
                                       plan::Pinning::kNone, plan::Passes::kAny));
  return model;
}

uint64_t PlannedModel::opened_bytes() const {
  uint64_t bytes = 0;
  for (const plan::Step& step : plan_.steps) bytes += OpenedBytes(*graph_, plan_, step);
  return bytes;
}

const plan::Step& PlannedModel::StepOf(graph::NodeIndex node) const {
  const auto step = std::ranges::find_if(
      plan_.steps, [node](const plan::Step& one) { return PartOf(one, node) != nullptr; });
  CORACLE_CHECK(step != plan_.steps.end());  // a plan has every node in one step
  return *step;
}

PlannedModel::Kept PlannedModel::OutputOf(graph::NodeIndex node) const {
  const graph::TensorIndex tensor = graph_->node(node).output;
  const uint64_t whole_bytes = graph::TensorBytes(*graph_, tensor);
  if (plan_.tensors[Position(tensor)].home == plan::Home::kPool) return {whole_bytes, true};
  Kept kept{0, false};
  // A spilled tensor has a window in each step that makes or reads it.
  for (const plan::Step& step : plan_.steps) {
    for (const plan::Window& window : step.windows) {
      if (window.tensor != tensor) continue;
      kept.bytes = std::max(kept.bytes, window.ring_rows * window.place.row_stride_bytes);
    }
  }
  return kept;
}

PlannedModel::Kept PlannedModel::WeightsOf(graph::NodeIndex node) const {
  const plan::Step& step = StepOf(node);
  if (PartOf(step, node)->weights == plan::WeightsMode::kStreamed) {
    uint64_t slots = 0;
    for (const plan::PoolRange& slot : step.slots) slots += slot.bytes;
    return {slots, false};
  }
  return {graph_->node(node).weights.TotalBytes(), true};
}

uint64_t PlannedModel::WorkspaceOf(std::span<const graph::NodeIndex> nodes) const {
  uint64_t most = 0;
  for (const graph::NodeIndex node : nodes) {
    uint64_t bytes = 0;
    for (const plan::PoolRange& range : StepOf(node).workspaces) bytes += range.bytes;
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace coracle::cmd

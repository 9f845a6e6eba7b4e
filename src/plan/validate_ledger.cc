#include "plan/validate_ledger.h"

#include "base/checked.h"
#include "fmt/format.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::TensorIndex;

Status CheckTotals(const Ledger& ledger) {
  const Plan& plan = ledger.plan;
  if (plan.pool_bytes > plan.budget_bytes) return PlanError("its pool exceeds the budget");
  if (plan.threads == 0 || plan.threads > kMaxThreads) return PlanError("too many threads");
  if (plan.tensors.size() != ledger.graph.tensors.size()) {
    return PlanError("it does not place every tensor once");
  }
  uint64_t parts = 0;
  uint64_t actions = 0;
  for (const Step& step : plan.steps) {
    if (step.parts.empty()) return PlanError("a step has no parts");
    parts += step.parts.size();
    actions += step.actions.size();
  }
  if (parts != ledger.graph.nodes.size()) return PlanError("it has not one part for each node");
  if (actions > kMaxActions) return PlanError(fmt::format("it has {} actions", actions));
  return {};
}

Status PlaceTensor(Ledger& ledger, TensorIndex tensor) {
  const std::string& name = ledger.graph.tensor(tensor).name;
  const TensorPlan& home = ledger.home(tensor);
  const graph::RowShape rows = ledger.rows(tensor);
  const uint64_t pool_bytes = ledger.plan.pool_bytes;
  const uint64_t batch = ledger.convoy.batch();
  const DType type = ledger.graph.tensor(tensor).dtype;
  if (type != DType::kFloat32 && type != DType::kUint8) {
    return PlanError(fmt::format("tensor '{}' is neither float32 nor uint8", name));
  }
  if (home.home > Home::kOutside) {
    return PlanError(fmt::format("the home of tensor '{}' does not exist", name));
  }
  if (home.home == Home::kPool) {
    const auto region =
        RegionOf(ledger.extent(tensor), batch * rows.AllRows(), home.place, pool_bytes);
    if (!region) return PlanError(fmt::format("tensor '{}' is misplaced", name));
    ledger.tensors[Position(tensor)].region = *region;
    return {};
  }
  if (rows.images != 1) {
    return PlanError(fmt::format("tensor '{}' has several images and is not in the pool", name));
  }
  if (home.home == Home::kStep) return {};
  if (home.block_rows == 0 || home.block_rows > rows.rows) {
    return PlanError(fmt::format("tensor '{}' has blocks of {} rows", name, home.block_rows));
  }
  const uint64_t counters_bytes = batch * CeilDiv(rows.rows, home.block_rows) * sizeof(uint64_t);
  const auto region = RegionOf(home.counters, counters_bytes, pool_bytes);
  if (!region) return PlanError(fmt::format("the counters of tensor '{}' are misplaced", name));
  ledger.tensors[Position(tensor)].region = *region;
  return {};
}

Status OrderPart(Ledger& ledger, const Part& part, int64_t now, std::vector<bool>& done) {
  if (Position(part.node) >= done.size() || done[Position(part.node)]) {
    return PlanError(fmt::format("step {} repeats a node or has none", now));
  }
  done[Position(part.node)] = true;
  const Node& node = ledger.node(part);
  for (TensorIndex input : node.inputs) {
    TensorState& read = ledger.tensors.at(Position(input));
    if (read.born == kNever) return StepError(node, "reads what is not computed yet");
    read.last_read = now;
  }
  TensorState& made = ledger.tensors.at(Position(node.output));
  if (made.born != kNever) return StepError(node, "computes a tensor again");
  made.born = now;
  return {};
}

/// What users write and read are floats.
Status CheckPorts(const Ledger& ledger) {
  for (const auto* ports : {&ledger.graph.inputs, &ledger.graph.outputs}) {
    for (const graph::Port& port : *ports) {
      if (ledger.graph.tensor(port.tensor).dtype == DType::kFloat32) continue;
      return PlanError(fmt::format("port '{}' is not float32", port.name));
    }
  }
  return {};
}

/// Births and last reads; every node once, after what it reads.
Status OrderSteps(Ledger& ledger) {
  for (const graph::Port& port : ledger.graph.inputs) {
    ledger.tensors.at(Position(port.tensor)).born = kBefore;
  }
  std::vector<bool> done(ledger.graph.nodes.size());
  for (size_t i = 0; i < ledger.plan.steps.size(); ++i) {
    for (const Part& part : ledger.plan.steps[i].parts) {
      TRY(OrderPart(ledger, part, static_cast<int64_t>(i), done));
    }
  }
  for (const graph::Port& port : ledger.graph.outputs) {
    TensorState& read = ledger.tensors.at(Position(port.tensor));
    if (read.born == kNever) return PlanError(fmt::format("output '{}' is not made", port.name));
    read.last_read = kNever;
  }
  return {};
}

/// What is nowhere between steps is made, and read if at all, by one step.
Status CheckPassing(const Ledger& ledger, TensorIndex tensor) {
  if (ledger.home(tensor).home != Home::kStep) return {};
  const TensorState& state = ledger.of(tensor);
  const bool passing = state.born != kBefore && state.born != kNever &&
                       (state.last_read == kBefore || state.last_read == state.born);
  if (passing) return {};
  return PlanError(fmt::format("tensor '{}' is needed outside of the step that makes it",
                               ledger.graph.tensor(tensor).name));
}

}  // namespace

Error PlanError(std::string_view what) {
  return Error{Code::kMalformed, fmt::format("plan: {}", what)};
}

Error StepError(const Node& node, std::string_view what) {
  return Error{Code::kMalformed,
               fmt::format("plan: step of {} '{}': {}", OpName(node.kind()), node.name, what)};
}

Status FillLedger(Ledger& ledger) {
  TRY(CheckTotals(ledger));
  TRY(CheckPorts(ledger));
  ledger.tensors.assign(ledger.graph.tensors.size(), {});
  for (size_t i = 0; i < ledger.tensors.size(); ++i) {
    TRY(PlaceTensor(ledger, static_cast<TensorIndex>(i)));
  }
  TRY(OrderSteps(ledger));
  for (size_t i = 0; i < ledger.tensors.size(); ++i) {
    TRY(CheckPassing(ledger, static_cast<TensorIndex>(i)));
  }
  return {};
}

}  // namespace coracle::plan

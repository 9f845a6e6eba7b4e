// The ledger: what the validator has established about a plan's tensors before it looks into any
// step: where each lies and from which step to which it must stay there.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/validate_regions.h"

namespace coracle::plan {

/// The order numbers of what happens before the first and after the last step.
inline constexpr int64_t kBefore = -1;
inline constexpr int64_t kNever = INT64_MAX;

struct TensorState {
  /// kPool: the tensor, of all inputs; kOutside: its counters; kStep: nothing.
  Region region;
  int64_t born = kNever;        ///< step that makes it; kBefore: a graph input
  int64_t last_read = kBefore;  ///< kBefore: nobody reads it; kNever: a graph output
};

struct Ledger {
  const graph::Convoy& convoy;
  const graph::Graph& graph;  ///< for one input
  const Plan& plan;
  std::vector<TensorState> tensors;  ///< by TensorIndex

  const TensorState& of(graph::TensorIndex tensor) const { return tensors.at(Position(tensor)); }
  const TensorPlan& home(graph::TensorIndex tensor) const {
    return plan.tensors.at(Position(tensor));
  }
  const graph::Node& node(const Part& part) const { return graph.node(part.node); }
  /// Of one input.
  graph::RowShape rows(graph::TensorIndex tensor) const {
    return graph::RowsOf(graph.shape(tensor));
  }
  RowExtent extent(graph::TensorIndex tensor) const {
    return {rows(tensor), DTypeBytes(graph.tensor(tensor).dtype)};
  }
  /// The graph whose rows the step's actions count.
  const graph::Graph& covered(const Step& step) const {
    return step.turns == Turns::kTogether ? convoy.all() : convoy.one();
  }
};

Error PlanError(std::string_view what);
Error StepError(const graph::Node& node, std::string_view what);

/// Checks the plan's totals and limits, that every node is in one part and after all that it reads,
/// and that every tensor lies where its home allows; fills the ledger in.
Status FillLedger(Ledger& ledger);

}  // namespace coracle::plan

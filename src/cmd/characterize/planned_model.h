// PlannedModel: what Coracle's plan for a model does with what other engines keep in buffers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::cmd {

class PlannedModel {
 public:
  /// Plans `graph`, which must outlive it, for one worker that keeps no weights between
  /// predictions, within `budget_bytes`; 0: the least with which each weight is opened once.
  /// Errors: kOutOfBudget.
  static Result<PlannedModel> Make(const graph::Graph& graph, uint64_t budget_bytes);

  uint64_t least_bytes() const { return least_bytes_; }
  uint64_t single_pass_bytes() const { return single_pass_bytes_; }
  uint64_t unplanned_bytes() const { return unplanned_bytes_; }
  uint64_t budget_bytes() const { return plan_.budget_bytes; }
  uint64_t pool_bytes() const { return plan_.pool_bytes; }
  /// Of one prediction, all weights that are opened, as often as they are.
  uint64_t opened_bytes() const;

  /// A buffer of the plan and, of what it stands in for, how much is there at once.
  struct Kept {
    uint64_t bytes = 0;
    bool whole = true;  ///< false: a ring of rows, or a slot that chunks pass through
  };
  /// Of what the node gives.
  Kept OutputOf(graph::NodeIndex node) const;
  Kept WeightsOf(graph::NodeIndex node) const;
  /// The largest scratch memory of a step that computes one of these.
  uint64_t WorkspaceOf(std::span<const graph::NodeIndex> nodes) const;

 private:
  explicit PlannedModel(const graph::Graph& graph) : graph_(&graph) {}
  const plan::Step& StepOf(graph::NodeIndex node) const;

  const graph::Graph* graph_;
  plan::Plan plan_;
  uint64_t least_bytes_ = 0;
  uint64_t single_pass_bytes_ = 0;
  uint64_t unplanned_bytes_ = 0;
};

}  // namespace coracle::cmd

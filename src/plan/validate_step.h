// The validator's view of one step by itself: is it a legal way to compute its parts, are its
// ranges large enough, is every row there when it is read, and does what it writes leave its
// operands readable?
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/validate_ledger.h"

namespace coracle::plan {

/// The step at hand, and which of its windows and parts belong to a tensor. Made once for a plan,
/// then entered for each step in turn.
class StepView {
 public:
  explicit StepView(const Ledger& ledger);

  /// Checks that the step has exactly one window of each tensor that it touches and that is not in
  /// the pool (none at all if it covers all inputs at once), none of another, and each as large, as
  /// aligned and as dense as plan.h asks for.
  Status Enter(size_t index);

  const Ledger& ledger() const { return ledger_; }
  const graph::Graph& covered() const { return ledger_.covered(*step_); }
  const Step& step() const { return *step_; }
  int64_t now() const { return now_; }
  const graph::Node& node(size_t part) const { return ledger_.node(step_->parts.at(part)); }
  /// The step's window of the tensor.
  std::optional<uint32_t> WindowOf(graph::TensorIndex tensor) const;
  /// The step's part that makes the tensor.
  std::optional<uint32_t> PartOf(graph::TensorIndex tensor) const;
  /// The bytes of each window.
  const std::vector<Region>& window_regions() const { return window_regions_; }

 private:
  struct Entry {
    size_t step = SIZE_MAX;  ///< that what follows belongs to
    bool touched = false;
    std::optional<uint32_t> window;
    std::optional<uint32_t> part;
  };
  Entry& EntryOf(graph::TensorIndex tensor);
  Status EnterWindow(uint32_t index);
  Status Touch(const graph::Node& node, graph::TensorIndex tensor);

  const Ledger& ledger_;
  const Step* step_ = nullptr;
  size_t index_ = 0;
  int64_t now_ = kBefore;
  std::vector<Entry> entries_;  // by TensorIndex
  std::vector<Region> window_regions_;
};

/// Form, weights, splits, workers and the sizes of slots, held weights and workspaces. Requires:
/// the step is not elided.
Status CheckStep(const Ledger& ledger, const Step& step);

/// An elided step has nothing to do, and its output lies where its inputs already are.
Status CheckElision(const Ledger& ledger, const Step& step);

/// Replays the actions, of one input where they are done for each: every row is computed and sealed
/// once, and is there when it is read; nothing of another input is relied on.
/// Requires: CheckStep() has passed.
Status CheckActions(const StepView& view);

/// `output`, made by the step in the pool, lies over `operand`, which the step is the last to read:
/// no action overwrites what it or a later one reads, but exactly in place where the kernel allows.
/// Requires: CheckActions() has passed.
Status CheckOverlay(const StepView& view, graph::TensorIndex output, graph::TensorIndex operand);

/// Output rows of a node as kernels::PerImage() counts them.
uint32_t RowsOfNode(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::plan

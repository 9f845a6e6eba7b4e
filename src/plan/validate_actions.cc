// The replay of one step's actions.
#include <algorithm>

#include "fmt/format.h"
#include "kernels/kernel.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::TensorIndex;
using kernels::RowRange;

/// What a window's slots hold: one run of rows.
struct WindowState {
  uint32_t begin = 0;
  uint32_t end = 0;     ///< begin == end: nothing
  uint32_t sealed = 0;  ///< rows [0, sealed) are sealed

  bool Holds(RowRange rows) const { return begin <= rows.begin && rows.end <= end; }

  /// Writes at most `ring_rows` rows; where their slots held others, these are gone. Rows that
  /// touch none of those held replace them all: what may be left is not relied on.
  void Write(RowRange rows, uint32_t ring_rows) {
    if (rows.begin > end || rows.end < begin || begin == end) {
      begin = rows.begin;
      end = rows.end;
      return;
    }
    const bool upwards = rows.end >= end;
    begin = std::min(begin, rows.begin);
    end = std::max(end, rows.end);
    if (end - begin <= ring_rows) return;
    if (upwards) {
      begin = end - ring_rows;
    } else {
      end = begin + ring_rows;
    }
  }
};

/// Which rows of a part's output have been computed.
struct PartState {
  uint32_t rows = 0;  ///< in all
  uint32_t done = 0;  ///< of them
  bool descending = false;
};

class ActionReplay {
 public:
  explicit ActionReplay(const StepView& view)
      : view_(view),
        ledger_(view.ledger()),
        covered_(view.covered()),
        step_(view.step()),
        windows_(step_.windows.size()) {
    for (const Part& part : step_.parts) {
      parts_.push_back({RowsOfNode(covered_, ledger_.node(part)), 0, false});
    }
  }

  Status Run() {
    for (const Action& action : step_.actions) TRY(Execute(action));
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i].done != parts_[i].rows) {
        return StepError(view_.node(i),
                         fmt::format("computes {} of {} rows", parts_[i].done, parts_[i].rows));
      }
    }
    for (size_t i = 0; i < windows_.size(); ++i) {
      const TensorIndex tensor = step_.windows[i].tensor;
      const bool outside = ledger_.home(tensor).home == Home::kOutside;
      if (outside && view_.PartOf(tensor) && windows_[i].sealed != ledger_.rows(tensor).rows) {
        return WindowError(tensor, "is not sealed to its end");
      }
    }
    return {};
  }

 private:
  Error WindowError(TensorIndex tensor, std::string_view what) const {
    return StepError(view_.node(0),
                     fmt::format("'{}' {}", ledger_.graph.tensor(tensor).name, what));
  }

  Status Execute(const Action& action) {
    const RowRange rows{action.begin, action.end};
    switch (action.kind) {
      case ActionKind::kCompute:
        if (action.index < parts_.size()) return Compute(action.index, rows);
        return StepError(view_.node(0), "computes a part that it has not");
      case ActionKind::kOpen:
      case ActionKind::kSeal:
        break;
      default:
        return StepError(view_.node(0), "has an action that does not exist");
    }
    if (action.index >= windows_.size()) {
      return StepError(view_.node(0), "moves rows of a window that it has not");
    }
    TRY(CheckBlocks(action.index, rows));
    return action.kind == ActionKind::kOpen ? Open(action.index, rows) : Seal(action.index, rows);
  }

  Status Compute(uint32_t index, RowRange rows) {
    const Node& node = view_.node(index);
    TRY(Advance(index, rows));
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      const RowRange needed = kernels::InputRows(covered_, node, operand, rows);
      if (needed.begin >= needed.end) continue;
      if (!IsThere(node.inputs[operand], needed)) {
        return StepError(
            node, fmt::format("reads rows {} to {} of '{}', which are not there", needed.begin,
                              needed.end, ledger_.graph.tensor(node.inputs[operand]).name));
      }
    }
    if (kernels::CarriesRows(node) && rows.begin > 0 &&
        !IsThere(node.output, {rows.begin - 1, rows.begin})) {
      return StepError(node, fmt::format("has lost row {} of its output", rows.begin - 1));
    }
    if (const auto window = view_.WindowOf(node.output)) {
      if (rows.count() > step_.windows[*window].ring_rows) {
        return StepError(node, "computes more rows than its window has");
      }
      windows_[*window].Write(rows, step_.windows[*window].ring_rows);
    }
    return {};
  }

  /// The rows are the part's next ones.
  Status Advance(uint32_t index, RowRange rows) {
    const Node& node = view_.node(index);
    PartState& part = parts_[index];
    if (rows.begin >= rows.end || rows.end > part.rows) {
      return StepError(
          node, fmt::format("computes rows {} to {} of {}", rows.begin, rows.end, part.rows));
    }
    if (part.done == 0) part.descending = rows.begin != 0;
    const bool next = part.descending ? rows.end == part.rows - part.done : rows.begin == part.done;
    if (!next) return StepError(node, "computes its rows out of order");
    if (part.descending && (parts_.size() > 1 || !windows_.empty())) {
      return StepError(node, "computes rows of a cascade from the last to the first");
    }
    if (part.descending && kernels::CarriesRows(node)) {
      return StepError(node, "makes rows of rows from the last to the first");
    }
    const bool several = graph::RowsOf(covered_.shape(node.output)).images > 1;
    if (several && (parts_.size() > 1 || rows.count() != part.rows)) {
      return StepError(node, "computes several images by rows");
    }
    part.done += rows.count();
    return {};
  }

  bool IsThere(TensorIndex tensor, RowRange needed) const {
    if (const auto window = view_.WindowOf(tensor)) return windows_[*window].Holds(needed);
    const auto part = view_.PartOf(tensor);
    return !part || needed.end <= parts_[*part].done;  // else made by a step before this one
  }

  /// Whole blocks of the window's tensor, no more than the window takes.
  Status CheckBlocks(uint32_t index, RowRange rows) const {
    const Window& window = step_.windows[index];
    const TensorPlan& home = ledger_.home(window.tensor);
    if (home.home != Home::kOutside) return WindowError(window.tensor, "does not lie outside");
    const uint32_t all = ledger_.rows(window.tensor).rows;
    if (rows.begin >= rows.end || rows.end > all || rows.count() > window.ring_rows ||
        rows.begin % home.block_rows != 0 || (rows.end != all && rows.end % home.block_rows != 0)) {
      return WindowError(window.tensor, fmt::format("is moved by rows {} to {}, no whole blocks",
                                                    rows.begin, rows.end));
    }
    return {};
  }

  Status Open(uint32_t index, RowRange rows) {
    const Window& window = step_.windows[index];
    if (view_.PartOf(window.tensor)) return WindowError(window.tensor, "is opened while made");
    windows_[index].Write(rows, window.ring_rows);
    return {};
  }

  Status Seal(uint32_t index, RowRange rows) {
    const TensorIndex tensor = step_.windows[index].tensor;
    WindowState& state = windows_[index];
    if (!view_.PartOf(tensor)) return WindowError(tensor, "is sealed, but not made here");
    if (rows.begin != state.sealed) return WindowError(tensor, "is sealed out of order");
    if (!state.Holds(rows)) return WindowError(tensor, "is sealed where its rows are not there");
    state.sealed = rows.end;
    return {};
  }

  const StepView& view_;
  const Ledger& ledger_;
  const graph::Graph& covered_;
  const Step& step_;
  std::vector<PartState> parts_;
  std::vector<WindowState> windows_;
};

}  // namespace

Status CheckActions(const StepView& view) { return ActionReplay(view).Run(); }

}  // namespace coracle::plan

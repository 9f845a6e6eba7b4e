// Outputs over operands that die: replaced in place, or overwritten behind (or before) the rows
// that are still to be read.
#include <algorithm>

#include "fmt/format.h"
#include "kernels/kernel.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::OpKind;
using graph::TensorIndex;
using kernels::RowRange;

/// Bytes from the first to the last of some rows, gaps included.
struct Span {
  uint64_t begin = UINT64_MAX;
  uint64_t end = 0;

  bool Meets(const Span& other) const { return begin < other.end && other.begin < end; }
  void Include(const Span& other) {
    begin = std::min(begin, other.begin);
    end = std::max(end, other.end);
  }
};

class Overlay {
 public:
  Overlay(const StepView& view, TensorIndex output, TensorIndex operand)
      : view_(view),
        ledger_(view.ledger()),
        covered_(view.covered()),
        output_(output),
        operand_(operand) {}

  /// Backwards over the inputs and the actions, with all that later ones read.
  bool IsSafe() const {
    Span later;
    const bool together = view_.step().turns == Turns::kTogether;
    for (uint32_t input = together ? 1 : ledger_.convoy.batch(); input-- > 0;) {
      if (!IsSafe(input, later)) return false;
    }
    return true;
  }

 private:
  bool IsSafe(uint32_t input, Span& later) const {
    for (size_t i = view_.step().actions.size(); i-- > 0;) {
      const Action& action = view_.step().actions[i];
      if (action.kind != ActionKind::kCompute) continue;
      const Node& node = view_.node(action.index);
      const RowRange rows{action.begin, action.end};
      Span reads;
      Span reads_in_place;
      for (uint32_t index = 0; index < node.inputs.size(); ++index) {
        if (node.inputs[index] != operand_) continue;
        const RowRange read = kernels::InputRows(covered_, node, index, rows);
        (Replaces(node, index) ? reads_in_place : reads)
            .Include(SpanOf(operand_, node, read, input));
      }
      if (node.output == output_) {
        const Span written = SpanOf(output_, node, rows, input);
        if (written.Meets(later) || written.Meets(reads)) return false;
      }
      later.Include(reads);
      later.Include(reads_in_place);
    }
    return true;
  }

  /// `rows` as kernels::PerImage() counts them for the node, of input `input`; of several images:
  /// all rows.
  Span SpanOf(TensorIndex tensor, const Node& node, RowRange rows, uint32_t input) const {
    if (rows.begin >= rows.end) return {};
    const graph::RowShape shape = graph::RowsOf(covered_.shape(tensor));
    const bool all = shape.images > 1 && kernels::PerImage(covered_, node);
    const uint64_t before = input * shape.AllRows();
    const uint64_t begin = before + (all ? 0 : rows.begin);
    const uint64_t end = before + (all ? shape.AllRows() : rows.end);
    const Region& region = ledger_.of(tensor).region;
    return {region.begin + begin * shape.pixels * region.pitch,
            region.begin + (end * shape.pixels - 1) * region.pitch + region.width};
  }

  /// True if the node's kernel may replace this operand by the output, which lies exactly there.
  bool Replaces(const Node& node, uint32_t operand) const {
    if (node.output != output_) return false;
    if (covered_.shape(operand_) != covered_.shape(output_)) return false;
    if (covered_.tensor(operand_).dtype != covered_.tensor(output_).dtype) return false;
    if (ledger_.home(operand_).place != ledger_.home(output_).place) return false;
    if (!kernels::InPlaceAllowed(covered_, node, operand)) return false;
    const bool has_panels = node.kind() == OpKind::kConv || node.kind() == OpKind::kConvTranspose ||
                            node.kind() == OpKind::kDense;
    const bool residual =
        node.residual != graph::Residual::kNone && operand + 1 == node.inputs.size();
    return !has_panels || (residual && !node.weights.SplitsK());
  }

  const StepView& view_;
  const Ledger& ledger_;
  const graph::Graph& covered_;
  const TensorIndex output_;
  const TensorIndex operand_;
};

}  // namespace

Status CheckOverlay(const StepView& view, TensorIndex output, TensorIndex operand) {
  if (Overlay(view, output, operand).IsSafe()) return {};
  const graph::Graph& graph = view.ledger().graph;
  return StepError(
      view.node(view.PartOf(output).value_or(0)),
      fmt::format("its output overwrites '{}', which is still read", graph.tensor(operand).name));
}

}  // namespace coracle::plan

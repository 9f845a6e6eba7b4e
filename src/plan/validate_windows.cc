// StepView: the windows of one step.
#include "fmt/format.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::TensorIndex;

/// What sealing and opening whole blocks in place asks for.
bool HoldsBlocks(const TensorPlan& home, const RowExtent& extent, const Window& window) {
  return window.place.pixel_stride_bytes == extent.PixelBytes() &&
         window.place.offset % kPoolAlignment == 0 &&
         (window.ring_rows == extent.shape.rows || window.ring_rows % home.block_rows == 0);
}

}  // namespace

StepView::StepView(const Ledger& ledger) : ledger_(ledger), entries_(ledger.tensors.size()) {}

StepView::Entry& StepView::EntryOf(TensorIndex tensor) {
  Entry& entry = entries_.at(Position(tensor));
  if (entry.step != index_) entry = {index_, false, std::nullopt, std::nullopt};
  return entry;
}

std::optional<uint32_t> StepView::WindowOf(TensorIndex tensor) const {
  const Entry& entry = entries_.at(Position(tensor));
  return entry.step == index_ ? entry.window : std::nullopt;
}

std::optional<uint32_t> StepView::PartOf(TensorIndex tensor) const {
  const Entry& entry = entries_.at(Position(tensor));
  return entry.step == index_ ? entry.part : std::nullopt;
}

Status StepView::Enter(size_t index) {
  index_ = index;
  now_ = static_cast<int64_t>(index);
  step_ = &ledger_.plan.steps.at(index);
  window_regions_.clear();
  for (uint32_t i = 0; i < step_->windows.size(); ++i) TRY(EnterWindow(i));
  for (uint32_t i = 0; i < step_->parts.size(); ++i) {
    const Node& made = node(i);
    for (TensorIndex input : made.inputs) TRY(Touch(made, input));
    TRY(Touch(made, made.output));
    EntryOf(made.output).part = i;
  }
  for (const Window& window : step_->windows) {
    if (EntryOf(window.tensor).touched) continue;
    return StepError(node(0), fmt::format("has a window of '{}', which it does not touch",
                                          ledger_.graph.tensor(window.tensor).name));
  }
  return {};
}

Status StepView::EnterWindow(uint32_t index) {
  const Window& window = step_->windows[index];
  if (Position(window.tensor) >= entries_.size()) {
    return StepError(node(0), "has a window of a tensor that does not exist");
  }
  const auto error = [&](std::string_view what) {
    const std::string& name = ledger_.graph.tensor(window.tensor).name;
    return StepError(node(0), fmt::format("its window of '{}' {}", name, what));
  };
  const TensorPlan& home = ledger_.home(window.tensor);
  if (home.home == Home::kPool) return error("is of a tensor in the pool");
  if (step_->turns == Turns::kTogether) return error("holds one input, and it covers all");
  Entry& entry = EntryOf(window.tensor);
  if (entry.window) return error("is its second one");
  entry.window = index;
  const RowExtent extent = ledger_.extent(window.tensor);
  if (window.ring_rows == 0 || window.ring_rows > extent.shape.rows) {
    return error(fmt::format("has {} rows", window.ring_rows));
  }
  const auto region = RegionOf(extent, window.ring_rows, window.place, ledger_.plan.pool_bytes);
  if (!region) return error("is misplaced");
  if (home.home == Home::kOutside && !HoldsBlocks(home, extent, window)) {
    return error("does not take whole blocks");
  }
  window_regions_.push_back(*region);
  return {};
}

Status StepView::Touch(const Node& node, TensorIndex tensor) {
  Entry& entry = EntryOf(tensor);
  entry.touched = true;
  if (entry.window || ledger_.home(tensor).home == Home::kPool) return {};
  return StepError(node, fmt::format("has no window of '{}'", ledger_.graph.tensor(tensor).name));
}

}  // namespace coracle::plan

// A mutator of plans: one field changed at random, for tests that want such plans rejected or
// right.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "plan/plan.h"
#include "plan/test_cascades.h"

namespace coracle::plan {

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  uint32_t Below(size_t limit) { return static_cast<uint32_t>(random_() % limit); }

  void Mutate(Plan& plan) {
    Step& step = plan.steps[Below(plan.steps.size())];
    switch (Below(4)) {
      case 0:
        return MutateTensor(plan);
      case 1:
        return MutateActions(step);
      case 2:
        return step.windows.empty() ? MutateScratch(plan, step) : MutateWindow(plan, step);
      default:
        return Below(3) == 0 ? MutateShape(plan, step) : MutateScratch(plan, step);
    }
  }

  /// Options for a cascade plan: cuts, tensors outside and modes at random.
  CascadeOptions Options(const graph::Graph& graph) {
    CascadeOptions options;
    const uint32_t length = 1 + Below(8);
    for (uint32_t i = 1; i < graph.nodes.size(); ++i) {
      if (Below(length) == 0) options.cuts.push_back(i);
    }
    options.rows_per_action = 1 + Below(4);
    if (Below(2) == 0) options.granules = Granules::kCut;
    options.block_rows = 1 + Below(3);
    options.weights = static_cast<WeightsMode>(1 + Below(3));
    options.workers = 1 + Below(3);
    options.split = Below(2) == 0 ? Split::kRows : Split::kPanels;
    options.batch = 1 + Below(3);
    options.turns = static_cast<Turns>(Below(2));
    for (uint32_t i = 0; i < graph.tensors.size(); ++i) {
      const auto tensor = static_cast<graph::TensorIndex>(i);
      if (Below(3) == 0 && CanLieOutside(graph, tensor)) options.outside.push_back(tensor);
    }
    return options;
  }

 private:
  void Shift(uint64_t& value) {
    constexpr uint64_t kUnits[] = {1, 4, 64, 64};
    const uint64_t by = kUnits[Below(4)] * (1 + Below(40));
    value = Below(2) == 0 ? value + by : value - by;
  }
  void Nudge(uint32_t& value) { value += Below(2) == 0 ? 1 + Below(2) : UINT32_MAX - Below(2); }

  /// Some offset that something else has.
  uint64_t AnyOffset(const Plan& plan) {
    const Step& step = plan.steps[Below(plan.steps.size())];
    switch (Below(4)) {
      case 0:
        if (!step.windows.empty()) return step.windows[Below(step.windows.size())].place.offset;
        break;
      case 1:
        return step.parts[Below(step.parts.size())].held.offset;
      case 2:
        return plan.tensors[Below(plan.tensors.size())].counters.offset;
      default:
        break;
    }
    return plan.tensors[Below(plan.tensors.size())].place.offset;
  }
  void Move(const Plan& plan, uint64_t& offset) {
    if (Below(2) == 0) return Shift(offset);
    offset = AnyOffset(plan);
  }

  void MutateTensor(Plan& plan) {
    TensorPlan& tensor = plan.tensors[Below(plan.tensors.size())];
    switch (Below(8)) {
      case 0:
        return Shift(tensor.place.pixel_stride_bytes);
      case 1:
        return Shift(tensor.place.row_stride_bytes);
      case 2:
        tensor.home = static_cast<Home>(Below(3));
        return;
      case 3:
        return Nudge(tensor.block_rows);
      case 4:
        return Move(plan, tensor.counters.offset);
      case 5:
        tensor = plan.tensors[Below(plan.tensors.size())];
        return;
      default:
        return Move(plan, tensor.place.offset);
    }
  }

  void MutateActions(Step& step) {
    if (step.actions.empty()) return;
    const size_t at = Below(step.actions.size());
    Action& action = step.actions[at];
    const auto place = step.actions.begin() + static_cast<ptrdiff_t>(at);
    switch (Below(10)) {
      case 0:
        return Nudge(action.begin);
      case 1:
        return Nudge(action.end);
      case 2:
        return Nudge(action.index);
      case 3:
        action.kind = static_cast<ActionKind>(Below(3));
        return;
      case 4:
        step.actions.erase(place);
        return;
      case 5:
        step.actions.insert(place, step.actions[Below(step.actions.size())]);
        return;
      case 6:
        std::reverse(step.actions.begin(), step.actions.end());
        return;
      case 7: {  // the action in two
        if (action.end - action.begin < 2) return;
        Action second = action;
        second.begin = action.end = action.begin + 1;
        step.actions.insert(place + 1, second);
        if (step.form == Form::kLayer) step.form = Form::kBand;
        return;
      }
      default:  // earlier or later by one
        if (at > 0) std::swap(step.actions[at - 1], action);
    }
  }

  void MutateWindow(const Plan& plan, Step& step) {
    Window& window = step.windows[Below(step.windows.size())];
    switch (Below(7)) {
      case 0:
        return Shift(window.place.row_stride_bytes);
      case 1:
        return Shift(window.place.pixel_stride_bytes);
      case 2:
        return Move(plan, window.place.offset);
      case 3:
        std::swap(window, step.windows[Below(step.windows.size())]);
        return;
      case 4:
        window.tensor = static_cast<graph::TensorIndex>(Below(plan.tensors.size()));
        return;
      default:
        return Nudge(window.ring_rows);
    }
  }

  void MutateScratch(Plan& plan, Step& step) {
    Part& part = step.parts[Below(step.parts.size())];
    switch (Below(8)) {
      case 0:
        if (!step.slots.empty()) Move(plan, step.slots[0].offset);
        return;
      case 1:
        if (!step.slots.empty()) step.slots.back().bytes -= 64;
        return;
      case 2:
        return Move(plan, part.held.offset);
      case 3:
        part.held.bytes -= part.held.bytes == 0 ? 0 : 64;
        return;
      case 4:
        if (!step.workspaces.empty()) Move(plan, step.workspaces[0].offset);
        return;
      case 5:
        return Move(plan, plan.input_staging.offset);
      case 6:
        return Move(plan, plan.output_staging.offset);
      default:
        plan.pool_bytes -= 64;
    }
  }

  void MutateShape(Plan& plan, Step& step) {
    Part& part = step.parts[Below(step.parts.size())];
    switch (Below(9)) {
      case 0:
        part.elided = !part.elided;
        return;
      case 1:
        std::swap(step, plan.steps[Below(plan.steps.size())]);
        return;
      case 2:
        std::swap(part, step.parts[Below(step.parts.size())]);
        return;
      case 3:
        part.weights = static_cast<WeightsMode>(Below(4));
        return;
      case 4:
        part.split = static_cast<Split>(Below(3));
        return;
      case 5:
        if (Below(2) == 0) {
          step.form = static_cast<Form>(Below(3));
        } else {
          step.turns = static_cast<Turns>(Below(2));
        }
        return;
      case 6:
        return Nudge(step.workers);
      case 7:
        return Nudge(plan.batch);
      default:
        part.node = static_cast<graph::NodeIndex>(Below(plan.tensors.size()));
    }
  }

  std::mt19937 random_;
};

}  // namespace coracle::plan

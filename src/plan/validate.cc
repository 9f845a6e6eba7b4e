#include "plan/validate.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "fmt/format.h"
#include "kernels/kernel.h"
#include "plan/validate_regions.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// The order number of things that happen before the first and after the last step.
constexpr int64_t kBefore = -1;
constexpr int64_t kNever = INT64_MAX;

struct TensorState {
  Region region;
  int64_t born = kNever;        ///< step that makes it
  int64_t last_read = kBefore;  ///< kNever: a graph output, read after all steps
};

Error PlanError(std::string_view what) {
  return Error{Code::kMalformed, fmt::format("plan: {}", what)};
}

class Replay {
 public:
  Replay(const Graph& graph, const Plan& plan) : graph_(graph), plan_(plan) {}

  Status Run() {
    TRY(CheckTotals());
    TRY(PlaceTensors());
    TRY(OrderSteps());
    TRY(CheckInputsApart());
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      if (tensors_[i].born == kBefore) live_.push_back(i);
    }
    for (size_t step = 0; step < plan_.steps.size(); ++step) {
      TRY(Execute(static_cast<int64_t>(step), plan_.steps[step]));
    }
    return {};
  }

 private:
  const TensorState& state(TensorIndex tensor) const { return tensors_[Position(tensor)]; }

  Status CheckTotals() const {
    if (graph_.stage != graph::Stage::kRows) return PlanError("its graph is not in rows");
    if (plan_.pool_bytes > plan_.budget_bytes) return PlanError("its pool exceeds the budget");
    if (plan_.threads == 0 || plan_.threads > kMaxThreads) return PlanError("too many threads");
    if (plan_.placements.size() != graph_.tensors.size()) {
      return PlanError("it does not place every tensor once");
    }
    if (plan_.steps.size() != graph_.nodes.size()) {
      return PlanError("it does not have one step for each node");
    }
    return {};
  }

  Status PlaceTensors() {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const graph::Tensor& tensor = graph_.tensors[i];
      const auto region = RegionOf(tensor.shape, plan_.placements[i], plan_.pool_bytes);
      if (!region) return PlanError(fmt::format("tensor '{}' is misplaced", tensor.name));
      if (tensor.dtype != DType::kFloat32) {
        return PlanError(fmt::format("tensor '{}' is not float32", tensor.name));
      }
      tensors_.push_back({*region, kNever, kBefore});
    }
    return {};
  }

  /// Births and last reads; every node once, after what it reads.
  Status OrderSteps() {
    for (const graph::Port& port : graph_.inputs) {
      tensors_.at(Position(port.tensor)).born = kBefore;
    }
    std::vector<bool> done(graph_.nodes.size());
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      if (Position(step.node) >= graph_.nodes.size() || done[Position(step.node)]) {
        return PlanError(fmt::format("step {} repeats a node or has none", i));
      }
      done[Position(step.node)] = true;
      const Node& node = graph_.node(step.node);
      const auto now = static_cast<int64_t>(i);
      for (TensorIndex input : node.inputs) {
        TensorState& read = tensors_.at(Position(input));
        if (read.born >= now) return StepError(node, "reads what is not computed yet");
        read.last_read = now;
      }
      TensorState& made = tensors_.at(Position(node.output));
      if (made.born != kNever) return StepError(node, "computes a tensor again");
      made.born = now;
    }
    for (const graph::Port& port : graph_.outputs) {
      TensorState& read = tensors_.at(Position(port.tensor));
      if (read.born == kNever) return PlanError(fmt::format("output '{}' is not made", port.name));
      read.last_read = kNever;
    }
    return {};
  }

  /// All inputs are written before the first step, in any order.
  Status CheckInputsApart() const {
    std::vector<Region> inputs;
    for (const TensorState& tensor : tensors_) {
      if (tensor.born == kBefore) inputs.push_back(tensor.region);
    }
    std::sort(inputs.begin(), inputs.end(),
              [](const Region& a, const Region& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < inputs.size(); ++i) {
      if (inputs[i].begin < inputs[i - 1].end()) return PlanError("graph inputs overlap");
    }
    return {};
  }

  Status Execute(int64_t now, const Step& step) {
    const Node& node = graph_.node(step.node);
    if (step.elided) {
      TRY(CheckElision(graph_, plan_, step));
    } else {
      TRY(CheckStep(graph_, plan_, step));
      TRY(CheckWrites(now, step, node));
      TRY(CheckOperands(graph_, plan_, step));
    }
    std::erase_if(live_, [&](size_t tensor) { return tensors_[tensor].last_read <= now; });
    if (state(node.output).last_read > now) live_.push_back(Position(node.output));
    return {};
  }

  /// What the step writes meets nothing that it or a later step reads, and no two of the step's
  /// own ranges meet. Its output against its operands is CheckOperands's business.
  Status CheckWrites(int64_t now, const Step& step, const Node& node) {
    const Region& out = state(node.output).region;
    scratch_.clear();
    for (const PoolRange& slot : step.slots) scratch_.push_back(RegionOf(slot));
    for (const PoolRange& range : step.workspaces) scratch_.push_back(RegionOf(range));
    scratch_.push_back(RegionOf(step.held));
    std::erase_if(scratch_, [](const Region& region) { return region.width == 0; });
    std::sort(scratch_.begin(), scratch_.end(),
              [](const Region& a, const Region& b) { return a.begin < b.begin; });
    for (size_t i = 0; i < scratch_.size(); ++i) {
      if (i > 0 && MayMeet(scratch_[i - 1], scratch_[i])) {
        return StepError(node, "its slots, weights or workspaces overlap");
      }
      if (MayMeet(scratch_[i], out)) return StepError(node, "its scratch overlaps its output");
    }
    for (size_t index : live_) {
      const TensorState& tensor = tensors_[index];
      const std::string& name = graph_.tensors[index].name;
      for (const Region& region : scratch_) {
        if (MayMeet(region, tensor.region)) {
          return StepError(node, fmt::format("its scratch overwrites '{}'", name));
        }
      }
      if (tensor.last_read > now && MayMeet(out, tensor.region)) {
        return StepError(node, fmt::format("its output overwrites '{}', needed later", name));
      }
    }
    return {};
  }

  const Graph& graph_;
  const Plan& plan_;
  std::vector<TensorState> tensors_;
  std::vector<size_t> live_;     // made and still to be read by this or a later step
  std::vector<Region> scratch_;  // of the step at hand
};

}  // namespace

Status Validate(const Graph& graph, const Plan& plan) { return Replay(graph, plan).Run(); }

}  // namespace coracle::plan

#include "plan/validate.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "plan/validate_ledger.h"
#include "plan/validate_regions.h"
#include "plan/validate_step.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::TensorIndex;

/// Something new in the pool: a tensor that is written, or scratch that nothing may share.
struct Occupant {
  Region region;
  /// Whose bytes, counters or window these are, if any's.
  TensorIndex tensor = NoIndex<TensorIndex>();
  std::string_view what;  ///< goes before the tensor's name
};

class Replay {
 public:
  Replay(const graph::Convoy& convoy, const Plan& plan)
      : graph_(convoy.one()), plan_(plan), ledger_{convoy, convoy.one(), plan, {}} {}

  Status Run() {
    TRY(FillLedger(ledger_));
    TRY(GatherPinned());
    TRY(CheckBefore());
    StepView view(ledger_);
    for (size_t step = 0; step < plan_.steps.size(); ++step) {
      if (plan_.steps[step].parts[0].elided) {
        TRY(CheckElision(ledger_, plan_.steps[step]));
      } else {
        TRY(view.Enter(step));
        TRY(CheckStep(ledger_, plan_.steps[step]));
        TRY(CheckActions(view));
        TRY(CheckMemory(view));
      }
      Pass(step);
    }
    return CheckAfter();
  }

 private:
  bool InPool(TensorIndex tensor) const { return ledger_.home(tensor).home == Home::kPool; }

  std::string NameOf(const Occupant& occupant) const {
    if (occupant.tensor == NoIndex<TensorIndex>()) return std::string(occupant.what);
    return fmt::format("{}'{}'", occupant.what, graph_.tensor(occupant.tensor).name);
  }

  Error Overlap(const Occupant& a, std::string_view b) const {
    const std::string what = fmt::format("{} overlaps {}", NameOf(a), b);
    return node_ == nullptr ? PlanError(what) : StepError(*node_, what);
  }

  Occupant OccupantOf(size_t index) const {
    const auto tensor = static_cast<TensorIndex>(index);
    return {ledger_.of(tensor).region, tensor, InPool(tensor) ? "" : "the counters of "};
  }

  void AddScratch(const PoolRange& range, std::string_view what) {
    occupants_.push_back(
        {{range.offset, range.bytes, range.bytes, 1}, NoIndex<TensorIndex>(), what});
  }

  /// No two occupants share a byte with each other or with pinned weights.
  Status CheckOccupantsApart() {
    std::erase_if(occupants_, [](const Occupant& one) { return one.region.width == 0; });
    std::sort(occupants_.begin(), occupants_.end(),
              [](const Occupant& a, const Occupant& b) { return a.region.begin < b.region.begin; });
    for (size_t i = 0; i < occupants_.size(); ++i) {
      const Occupant& a = occupants_[i];
      for (size_t j = i + 1; j < occupants_.size(); ++j) {
        const Occupant& b = occupants_[j];
        if (b.region.begin >= a.region.end()) break;
        if (MayMeet(a.region, b.region)) return Overlap(a, NameOf(b));
      }
      if (MeetsPinned(a.region)) return Overlap(a, "pinned weights");
    }
    return {};
  }

  /// No occupant shares a byte with what was made before, but for what the step (if any) makes over
  /// a tensor that it is the last to read.
  Status CheckLiveSpared(const StepView* view) const {
    for (size_t index : live_) {
      const Occupant live = OccupantOf(index);
      for (const Occupant& occupant : occupants_) {
        if (!MayMeet(occupant.region, live.region)) continue;
        const bool overlay = view != nullptr && occupant.tensor != NoIndex<TensorIndex>() &&
                             InPool(occupant.tensor) && InPool(live.tensor) &&
                             ledger_.of(live.tensor).last_read == view->now();
        if (!overlay) return Overlap(occupant, NameOf(live));
        TRY(CheckOverlay(*view, occupant.tensor, live.tensor));
      }
    }
    return {};
  }

  Status GatherPinned() {
    for (const Step& step : plan_.steps) {
      for (const Part& part : step.parts) {
        if (part.weights != WeightsMode::kPinned) continue;
        const auto region =
            RegionOf(part.held, ledger_.node(part).weights.TotalBytes(), plan_.pool_bytes);
        if (!region) return StepError(ledger_.node(part), "its pinned weights are misplaced");
        if (region->width > 0) pinned_.push_back(*region);
      }
    }
    TRY(GatherDecoding());
    std::sort(pinned_.begin(), pinned_.end(),
              [](const Region& a, const Region& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < pinned_.size(); ++i) {
      if (pinned_[i].begin < pinned_[i - 1].end())
        return PlanError("pinned weights or rooms to decode in overlap");
    }
    return {};
  }

  /// Room to decode in is kept as pinned weights are: one for each worker of the plan that may have
  /// coded chunks to open, and none if there are none.
  Status GatherDecoding() {
    uint64_t bytes = 0;
    for (const graph::Node& node : graph_.nodes) {
      for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
        if (chunk.coded_bytes == 0) continue;
        bytes = std::max(bytes, uint64_t{graph::kDecoderContextBytes} + chunk.bytes);
      }
    }
    if (plan_.decoding.size() != (bytes == 0 ? 0 : plan_.threads)) {
      return PlanError(
          "needs one room to decode in for each worker if weights are coded, else none");
    }
    for (const PoolRange& range : plan_.decoding) {
      const auto region = RegionOf(range, bytes, plan_.pool_bytes);
      if (!region) return PlanError("a room to decode in is too small or misplaced");
      pinned_.push_back(*region);
    }
    return {};
  }

  /// Pinned weights share their bytes with nothing, ever.
  bool MeetsPinned(const Region& region) const {
    const auto after =
        std::lower_bound(pinned_.begin(), pinned_.end(), region.end(),
                         [](const Region& pinned, uint64_t end) { return pinned.begin < end; });
    return after != pinned_.begin() && std::prev(after)->end() > region.begin;
  }

  /// Adds room for the largest block of the outside tensors among the ports.
  Status AddStaging(const std::vector<graph::Port>& ports, const PoolRange& range,
                    std::string_view what) {
    uint64_t bytes = 0;
    for (const graph::Port& port : ports) {
      const TensorPlan& home = ledger_.home(port.tensor);
      if (home.home != Home::kOutside) continue;
      bytes = std::max(bytes, home.block_rows * ledger_.extent(port.tensor).RowBytes());
    }
    if (!RegionOf(range, bytes, plan_.pool_bytes)) {
      return PlanError(fmt::format("{} is too small or misplaced", what));
    }
    AddScratch(range, what);
    return {};
  }

  /// Inputs are written, or sealed, before the first step, in any order.
  Status CheckBefore() {
    occupants_.clear();
    for (size_t i = 0; i < ledger_.tensors.size(); ++i) {
      if (ledger_.tensors[i].born != kBefore) continue;
      occupants_.push_back(OccupantOf(i));
      if (ledger_.tensors[i].last_read != kBefore) live_.push_back(i);
    }
    TRY(AddStaging(graph_.inputs, plan_.input_staging, "the inputs' staging"));
    return CheckOccupantsApart();
  }

  /// Outputs are read, or opened, after the last step.
  Status CheckAfter() {
    node_ = nullptr;
    occupants_.clear();
    TRY(AddStaging(graph_.outputs, plan_.output_staging, "the outputs' staging"));
    TRY(CheckOccupantsApart());
    return CheckLiveSpared(nullptr);
  }

  /// What the step writes shares memory with nothing that it or a later step needs. Tensors made
  /// before may share theirs: older steps have found them to be slices of each other.
  Status CheckMemory(const StepView& view) {
    node_ = &view.node(0);
    occupants_.clear();
    for (const Part& part : view.step().parts) {
      occupants_.push_back(OccupantOf(Position(ledger_.node(part).output)));
    }
    for (size_t i = 0; i < view.window_regions().size(); ++i) {
      occupants_.push_back(
          {view.window_regions()[i], view.step().windows[i].tensor, "the window of "});
    }
    for (const PoolRange& slot : view.step().slots) AddScratch(slot, "a slot");
    for (const PoolRange& workspace : view.step().workspaces) AddScratch(workspace, "a workspace");
    for (const Part& part : view.step().parts) {
      if (part.weights == WeightsMode::kHeld) AddScratch(part.held, "held weights");
    }
    TRY(CheckOccupantsApart());
    return CheckLiveSpared(&view);
  }

  /// What lives on after the step.
  void Pass(size_t step) {
    const auto now = static_cast<int64_t>(step);
    std::erase_if(live_, [&](size_t tensor) { return ledger_.tensors[tensor].last_read <= now; });
    for (const Part& part : plan_.steps[step].parts) {
      const TensorIndex made = ledger_.node(part).output;
      if (ledger_.of(made).last_read > now) live_.push_back(Position(made));
    }
  }

  const Graph& graph_;
  const Plan& plan_;
  Ledger ledger_;
  std::vector<Region> pinned_;         // ascending
  std::vector<size_t> live_;           // made and still to be read by this or a later step
  std::vector<Occupant> occupants_;    // new at the time at hand
  const graph::Node* node_ = nullptr;  // names the step at hand
};

}  // namespace

Status Validate(const Graph& graph, const Plan& plan) {
  if (graph.stage != graph::Stage::kRows) return PlanError("its graph is not in rows");
  TRY_ASSIGN(const graph::Convoy convoy, graph::Convoy::Make(graph, plan.batch));
  return Replay(convoy, plan).Run();
}

}  // namespace coracle::plan

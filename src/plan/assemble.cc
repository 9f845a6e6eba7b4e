#include "plan/assemble.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"
#include "plan/cost.h"
#include "plan/schedule.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

constexpr uint32_t kNoBuffer = UINT32_MAX;

class Assembler {
 public:
  Assembler(const Recipe& recipe, const Choice& choice, const MachineRates& rates)
      : world_(*recipe.world),
        graph_(*world_.graph),
        recipe_(recipe),
        choice_(choice),
        rates_(rates),
        after_(static_cast<StepNumber>(choice.segments.size()) + 1) {}

  Plan Run() {
    for (StepNumber step = 0; step < choice_.segments.size(); ++step) {
      const Stretch& stretch = choice_.segments[step].stretch;
      for (NodeNumber node = stretch.begin; node < stretch.end; ++node) step_of_.push_back(step);
    }
    plan_.batch = world_.convoy->batch();
    plan_.budget_bytes = kUnlimited;
    plan_.tensors.resize(graph_.tensors.size());
    tensor_counters_.assign(graph_.tensors.size(), kNoBuffer);
    ChooseHomes();
    AddStorages();
    AddStaging();
    for (StepNumber step = 0; step < choice_.segments.size(); ++step) AddStep(step);
    AddDecoding();
    FindLoads();
    packing_ = Pack(buffers_, overlays_, PackLimits{0, recipe_.search_work});
    for (size_t i = 0; i < buffers_.size(); ++i) {
      plan_.pool_bytes = std::max(plan_.pool_bytes, packing_.offsets[i] + used_bytes_[i]);
    }
    plan_.live_load_bound_bytes = std::min(packing_.bound_bytes, plan_.pool_bytes);
    for (size_t i = 0; i < graph_.tensors.size(); ++i) PlaceTensor(static_cast<TensorIndex>(i));
    plan_.input_staging = RangeOf(input_staging_, input_staging_bytes_);
    plan_.output_staging = RangeOf(output_staging_, output_staging_bytes_);
    for (StepNumber step = 0; step < choice_.segments.size(); ++step) PlaceStep(step);
    PlaceDecoding();
    return std::move(plan_);
  }

 private:
  /// The buffers of one step; windows and held as in the plan's step.
  struct StepBuffers {
    std::vector<uint32_t> windows;
    std::vector<uint32_t> held;
    uint32_t slots = kNoBuffer;
    uint32_t workspaces = kNoBuffer;
    uint64_t slot_bytes = 0;
    uint64_t workspace_bytes = 0;
  };

  uint32_t Add(uint64_t bytes, StepNumber first, StepNumber last) {
    if (bytes == 0) return kNoBuffer;
    buffers_.push_back({RoundUp(bytes, kPoolAlignment), first, last});
    used_bytes_.push_back(bytes);
    return static_cast<uint32_t>(buffers_.size() - 1);
  }

  PoolRange RangeOf(uint32_t buffer, uint64_t bytes) const {
    return buffer == kNoBuffer ? PoolRange{} : PoolRange{packing_.offsets[buffer], bytes};
  }

  /// Packing times: 0 before the first step, then the steps, then one after the last.
  StepNumber TimeOfNode(NodeNumber node) const { return step_of_[node] + 1; }
  StepNumber BirthOf(TensorIndex tensor) const {
    const NodeNumber maker = world_.uses->makers[Position(tensor)];
    return maker == kNoNode ? 0 : TimeOfNode(maker);
  }
  StepNumber DeathOf(TensorIndex tensor) const {
    const StepNumber last = (*world_.ranges)[Position(tensor)].last;
    return last >= step_of_.size() ? after_ : TimeOfNode(last);
  }

  void ChooseHomes() {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const auto tensor = static_cast<TensorIndex>(i);
      const bool made = world_.uses->makers[i] != kNoNode;
      TensorPlan& home = plan_.tensors[i];
      const bool one_image = graph::RowsOf(graph_.shape(tensor)).images == 1;
      if (made && one_image && BirthOf(tensor) == DeathOf(tensor)) {
        const Segment& segment = choice_.segments[BirthOf(tensor) - 1];
        // A layer's output that nobody reads has a window too, but where it is of all inputs.
        const bool windowless = segment.stretch.elided || segment.flow == kTogetherFlow;
        if (!windowless) home.home = Home::kStep;
      } else if (world_.block_rows[i] > 0) {
        home.home = Home::kOutside;
        home.block_rows = world_.block_rows[i];
        tensor_counters_[i] = Add(CounterBytes(*world_.convoy, tensor, home.block_rows),
                                  BirthOf(tensor), DeathOf(tensor));
      }
    }
  }

  /// End of the last input's last element in its storage.
  uint64_t EndOf(TensorIndex tensor) const {
    const View& view = world_.map.views[Position(tensor)];
    const graph::RowShape rows = graph::RowsOf(world_.convoy->all().shape(tensor));
    return view.offset + (rows.AllRows() * rows.pixels - 1) * view.pitch +
           graph::PixelBytes(graph_, tensor);
  }

  void AddStorages() {
    storage_buffers_.assign(world_.map.storages.size(), kNoBuffer);
    for (size_t i = 0; i < world_.map.storages.size(); ++i) {
      StepNumber first = UINT32_MAX;
      StepNumber last = 0;
      uint64_t bytes = 0;
      for (const TensorIndex member : world_.map.storages[i].members) {
        if (plan_.tensors[Position(member)].home != Home::kPool) continue;
        first = std::min(first, BirthOf(member));
        last = std::max(last, DeathOf(member));
        bytes = std::max(bytes, EndOf(member));
      }
      if (first <= last) storage_buffers_[i] = Add(bytes, first, last);
    }
  }

  uint64_t BlockBytes(const graph::Port& port) const {
    const uint32_t block_rows = plan_.tensors[Position(port.tensor)].block_rows;
    return block_rows * RowBytes(graph_, port.tensor);
  }

  void AddStaging() {
    for (const graph::Port& port : graph_.inputs) {
      input_staging_bytes_ = std::max(input_staging_bytes_, BlockBytes(port));
    }
    for (const graph::Port& port : graph_.outputs) {
      output_staging_bytes_ = std::max(output_staging_bytes_, BlockBytes(port));
    }
    input_staging_ = Add(input_staging_bytes_, 0, 0);
    output_staging_ = Add(output_staging_bytes_, after_, after_);
  }

  WeightsMode ModeOf(const Segment& segment, NodeNumber node) const {
    if (graph_.nodes[node].weights.chunks.empty()) return WeightsMode::kNone;
    if (!recipe_.pinned.empty() && recipe_.pinned[node]) return WeightsMode::kPinned;
    return segment.held[node - segment.stretch.begin] ? WeightsMode::kHeld : WeightsMode::kStreamed;
  }

  void AddStep(StepNumber step) {
    const Segment& segment = choice_.segments[step];
    const Stretch& stretch = segment.stretch;
    const Graph& covered =
        segment.flow == kTogetherFlow ? world_.convoy->all() : world_.convoy->one();
    StepBuffers& buffers = step_buffers_.emplace_back();
    Schedule& schedule = schedules_.emplace_back();
    if (stretch.elided) {
      buffers.held.push_back(kNoBuffer);
      return;
    }
    const StepNumber now = step + 1;
    schedule = MakeSchedule(world_, stretch, segment.flow);
    for (const Ring& ring : schedule.rings) {
      buffers.windows.push_back(Add(ring.rows * RowBytes(graph_, ring.tensor), now, now));
    }
    for (NodeNumber number = stretch.begin; number < stretch.end; ++number) {
      const Node& node = graph_.nodes[number];
      const WeightsMode mode = ModeOf(segment, number);
      const uint64_t bytes = node.weights.TotalBytes();
      uint32_t held = kNoBuffer;
      if (mode == WeightsMode::kHeld) held = Add(bytes, now, now);
      if (mode == WeightsMode::kPinned) {
        held = Add(bytes, 0, after_);
        plan_.pinned_bytes += bytes;
      }
      buffers.held.push_back(held);
      if (mode == WeightsMode::kStreamed) {
        buffers.slot_bytes = std::max<uint64_t>(
            buffers.slot_bytes, RoundUp(node.weights.LargestChunkBytes(), kPoolAlignment));
      }
      buffers.workspace_bytes = std::max(
          buffers.workspace_bytes, RoundUp(kernels::WorkspaceBytes(covered, node), kPoolAlignment));
    }
    buffers.slots = Add(buffers.slot_bytes * segment.workers, now, now);
    buffers.workspaces = Add(buffers.workspace_bytes * segment.workers, now, now);
    if (segment.overlays) AddOverlay(stretch, schedule);
  }

  void AddOverlay(const Stretch& stretch, const Schedule& schedule) {
    Overlay overlay = OverlayOf(world_, stretch.overlay, schedule.bytes_below);
    const uint32_t read = storage_buffers_[overlay.predecessor];
    const uint32_t made = storage_buffers_[overlay.successor];
    CORACLE_CHECK(read != kNoBuffer && made != kNoBuffer);
    overlay.predecessor = read;
    overlay.successor = made;
    if (OverlaySaving(overlay, buffers_[read].bytes, buffers_[made].bytes) > 0) {
      overlays_.push_back(overlay);
    }
  }

  void AddDecoding() {
    uint64_t workers = 1;
    for (const Segment& segment : choice_.segments) {
      workers = std::max<uint64_t>(workers, segment.workers);
    }
    decoding_ = Add(workers * DecodingBytes(graph_), 0, after_);
  }

  void PlaceDecoding() {
    if (decoding_ == kNoBuffer) return;
    const uint64_t bytes = DecodingBytes(graph_);
    for (uint32_t worker = 0; worker < plan_.threads; ++worker) {
      plan_.decoding.push_back({packing_.offsets[decoding_] + worker * bytes, bytes});
    }
  }

  void FindLoads() {
    loads_.assign(size_t{after_} + 2, 0);
    for (const Buffer& buffer : buffers_) {
      loads_[buffer.first] += buffer.bytes;
      loads_[buffer.last + 1] -= buffer.bytes;
    }
    for (size_t time = 1; time < loads_.size(); ++time) loads_[time] += loads_[time - 1];
    loads_.pop_back();
    for (const Overlay& overlay : overlays_) {
      loads_[buffers_[overlay.successor].first] -= OverlaySaving(
          overlay, buffers_[overlay.predecessor].bytes, buffers_[overlay.successor].bytes);
    }
  }

  void PlaceTensor(TensorIndex tensor) {
    TensorPlan& home = plan_.tensors[Position(tensor)];
    if (home.home == Home::kOutside) {
      home.counters = RangeOf(tensor_counters_[Position(tensor)],
                              CounterBytes(*world_.convoy, tensor, home.block_rows));
    }
    if (home.home != Home::kPool) return;
    const View& view = world_.map.views[Position(tensor)];
    const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
    home.place = {packing_.offsets[storage_buffers_[Position(view.storage)]] + view.offset,
                  rows.pixels * view.pitch, view.pitch};
  }

  void PlaceStep(StepNumber step) {
    const Segment& segment = choice_.segments[step];
    const StepBuffers& buffers = step_buffers_[step];
    Schedule& schedule = schedules_[step];
    Step& made = plan_.steps.emplace_back();
    made.live_bytes = loads_[step + 1];
    if (segment.flow == kTogetherFlow) made.turns = Turns::kTogether;
    for (NodeNumber number = segment.stretch.begin; number < segment.stretch.end; ++number) {
      made.parts.push_back(PartOf(step, number));
    }
    if (segment.stretch.elided) return;
    const bool divided = std::any_of(made.parts.begin(), made.parts.end(),
                                     [](const Part& part) { return part.split != Split::kNone; });
    made.workers = divided ? segment.workers : 1;
    for (size_t i = 0; i < schedule.rings.size(); ++i) {
      const Ring& ring = schedule.rings[i];
      const graph::RowShape rows = graph::RowsOf(graph_.shape(ring.tensor));
      const uint64_t pixel_bytes = graph::PixelBytes(graph_, ring.tensor);
      made.windows.push_back(
          {ring.tensor,
           {packing_.offsets[buffers.windows[i]], rows.pixels * pixel_bytes, pixel_bytes},
           ring.rows});
    }
    made.actions = std::move(schedule.actions);
    uint64_t scratch_bytes = 0;
    for (const Part& part : made.parts) {
      if (part.weights == WeightsMode::kHeld) scratch_bytes += part.held.bytes;
    }
    for (uint32_t worker = 0; worker < made.workers; ++worker) {
      if (buffers.slots != kNoBuffer) {
        made.slots.push_back(
            {packing_.offsets[buffers.slots] + worker * buffers.slot_bytes, buffers.slot_bytes});
      }
      made.workspaces.push_back(
          buffers.workspaces == kNoBuffer
              ? PoolRange{}
              : PoolRange{packing_.offsets[buffers.workspaces] + worker * buffers.workspace_bytes,
                          buffers.workspace_bytes});
      scratch_bytes += buffers.slot_bytes + buffers.workspace_bytes;
    }
    const auto computes =
        std::count_if(made.actions.begin(), made.actions.end(),
                      [](const Action& action) { return action.kind == ActionKind::kCompute; });
    made.form = made.parts.size() > 1 ? Form::kCascade : computes > 1 ? Form::kBand : Form::kLayer;
    made.predicted_ms = StepMs(*world_.convoy, plan_, made, rates_);
    plan_.predicted_ms += made.predicted_ms;
    plan_.threads = std::max(plan_.threads, made.workers);
    plan_.workspace_bytes = std::max(plan_.workspace_bytes, scratch_bytes);
  }

  Part PartOf(StepNumber step, NodeNumber number) const {
    const Segment& segment = choice_.segments[step];
    const NodeNumber local = number - segment.stretch.begin;
    Part part;
    part.node = static_cast<graph::NodeIndex>(number);
    part.elided = segment.stretch.elided;
    if (part.elided) return part;
    part.weights = ModeOf(segment, number);
    part.held = RangeOf(step_buffers_[step].held[local], graph_.nodes[number].weights.TotalBytes());
    if (segment.workers > 1) {
      part.split = part.weights == WeightsMode::kStreamed ? segment.streamed_splits[local]
                                                          : segment.held_splits[local];
    }
    return part;
  }

  const World& world_;
  const Graph& graph_;
  const Recipe& recipe_;
  const Choice& choice_;
  const MachineRates& rates_;
  const StepNumber after_;
  std::vector<StepNumber> step_of_;  // by node
  Plan plan_;
  std::vector<Buffer> buffers_;
  std::vector<uint64_t> used_bytes_;  // by buffer: without what rounds it up
  std::vector<Overlay> overlays_;
  std::vector<uint64_t> loads_;  // by packing time
  Packing packing_;
  std::vector<uint32_t> storage_buffers_;  // by StorageIndex
  std::vector<uint32_t> tensor_counters_;  // by TensorIndex
  uint32_t decoding_ = kNoBuffer;
  uint32_t input_staging_ = kNoBuffer;
  uint32_t output_staging_ = kNoBuffer;
  uint64_t input_staging_bytes_ = 0;
  uint64_t output_staging_bytes_ = 0;
  std::vector<StepBuffers> step_buffers_;
  std::vector<Schedule> schedules_;
};

}  // namespace

Plan Assemble(const Recipe& recipe, const Choice& choice, const MachineRates& rates) {
  Plan plan = Assembler(recipe, choice, rates).Run();
  for (Step& step : plan.steps) {
    for (Part& part : step.parts) part.node = (*recipe.order)[Position(part.node)];
  }
  return plan;
}

}  // namespace coracle::plan

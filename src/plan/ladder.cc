#include "plan/ladder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/checked.h"

namespace coracle::plan {
namespace {

constexpr uint32_t kNoBuffer = UINT32_MAX;

/// Bytes of the storages that live at each step (at least one step, so that a graph without nodes
/// has a load too).
std::vector<uint64_t> StorageLoads(const StorageMap& map, size_t step_count) {
  std::vector<uint64_t> loads(std::max<size_t>(step_count, 1) + 1);
  for (const Storage& storage : map.storages) {
    if (storage.members.empty()) continue;
    loads[storage.first] += storage.bytes;
    const size_t end = std::min<size_t>(size_t{storage.last} + 1, loads.size() - 1);
    loads[end] -= storage.bytes;
  }
  for (size_t step = 1; step < loads.size(); ++step) loads[step] += loads[step - 1];
  loads.pop_back();
  return loads;
}

uint64_t NeedOf(uint64_t base_load, const StepOption& option) {
  return base_load + option.ScratchBytes() - option.saved_bytes;
}

}  // namespace

/// The buffers of a rung: storages first, then scratch step by step.
struct Ladder::Layout {
  std::vector<Buffer> buffers;
  std::vector<Overlay> overlays;
  std::vector<uint32_t> storage_buffers;  // by StorageIndex
  std::vector<Scratch> scratch;           // by step
};

Ladder::Ladder(const graph::Graph& graph, const std::vector<LiveRange>& ranges, StorageMap map,
               const PlanRequest& request)
    : graph_(graph), map_(std::move(map)), base_loads_(StorageLoads(map_, graph.nodes.size())) {
  uint64_t least = 0;
  options_.resize(base_loads_.size());
  for (StepNumber step = 0; step < base_loads_.size(); ++step) {
    uint64_t need = base_loads_[step];
    if (step < graph.nodes.size() && !map_.elided[step]) {
      options_[step] = OptionsOf(graph, step, ranges, map_, request);
      need = NeedOf(need, options_[step].back());
    }
    least = std::max(least, need);
  }
  thresholds_.push_back(least);
  for (size_t step = 0; step < options_.size(); ++step) {
    for (const StepOption& option : options_[step]) {
      const uint64_t need = NeedOf(base_loads_[step], option);
      if (need > least) thresholds_.push_back(need);
    }
  }
  std::sort(thresholds_.begin(), thresholds_.end(), std::greater<>());
  thresholds_.erase(std::unique(thresholds_.begin(), thresholds_.end()), thresholds_.end());
  const size_t count = thresholds_.size();
  if (count <= kMaxRungs) return;
  std::vector<uint64_t> fewer;
  for (size_t i = 0; i < kMaxRungs; ++i) {
    fewer.push_back(thresholds_[i * (count - 1) / (kMaxRungs - 1)]);
  }
  thresholds_ = std::move(fewer);
}

Ladder::Rung Ladder::RungAt(size_t index) const {
  Rung rung;
  rung.options.resize(options_.size());
  rung.loads = base_loads_;
  for (size_t step = 0; step < options_.size(); ++step) {
    for (const StepOption& option : options_[step]) {
      if (NeedOf(base_loads_[step], option) > thresholds_[index]) continue;
      rung.options[step] = &option;
      rung.loads[step] = NeedOf(base_loads_[step], option);
      rung.ms += option.ms;
      break;
    }
    rung.load_bytes = std::max(rung.load_bytes, rung.loads[step]);
  }
  return rung;
}

std::optional<Plan> Ladder::Fastest(uint64_t budget_bytes, double ms_limit) const {
  const uint64_t reach = budget_bytes > kUnlimited - kPoolAlignment
                             ? kUnlimited
                             : RoundUp(budget_bytes, kPoolAlignment);
  for (size_t index = 0; index < thresholds_.size(); ++index) {
    const Rung rung = RungAt(index);
    if (rung.ms >= ms_limit) return std::nullopt;
    if (rung.load_bytes > reach) continue;
    Plan plan = Assemble(rung);
    if (plan.pool_bytes <= budget_bytes) return plan;
  }
  return std::nullopt;
}

std::optional<Plan> Ladder::Smallest(uint64_t limit_bytes) const {
  std::optional<Plan> best;
  for (size_t index = thresholds_.size(); index-- > 0;) {
    const Rung rung = RungAt(index);
    // The pool ends less than one alignment before its rounded load.
    if (rung.load_bytes >= limit_bytes + kPoolAlignment) break;
    Plan plan = Assemble(rung);
    if (plan.pool_bytes >= limit_bytes) continue;
    limit_bytes = plan.pool_bytes;
    best = std::move(plan);
    if (rung.load_bytes >= limit_bytes) break;
  }
  return best;
}

Ladder::Layout Ladder::BuffersOf(const Rung& rung) const {
  Layout layout;
  layout.storage_buffers.assign(map_.storages.size(), kNoBuffer);
  const auto last_step = static_cast<StepNumber>(base_loads_.size() - 1);
  const auto add = [&layout](uint64_t bytes, StepNumber first, StepNumber last) {
    if (bytes == 0) return kNoBuffer;
    layout.buffers.push_back({RoundUp(bytes, kPoolAlignment), first, last});
    return static_cast<uint32_t>(layout.buffers.size() - 1);
  };
  for (size_t i = 0; i < map_.storages.size(); ++i) {
    const Storage& storage = map_.storages[i];
    if (storage.members.empty()) continue;
    layout.storage_buffers[i] =
        add(storage.bytes, storage.first, std::min(storage.last, last_step));
  }
  for (StepNumber step = 0; step <= last_step; ++step) {
    const StepOption* option = rung.options[step];
    if (option == nullptr) {
      layout.scratch.push_back({kNoBuffer, kNoBuffer, kNoBuffer});
      continue;
    }
    const uint64_t workers = option->manner.workers;
    layout.scratch.push_back({add(option->slot_bytes * workers, step, step),
                              add(option->workspace_bytes * workers, step, step),
                              add(option->held_bytes, step, step)});
    if (!option->overlay) continue;
    Overlay overlay = *option->overlay;
    overlay.predecessor = layout.storage_buffers[overlay.predecessor];
    overlay.successor = layout.storage_buffers[overlay.successor];
    layout.overlays.push_back(overlay);
  }
  return layout;
}

Step Ladder::StepOf(StepNumber step, const Rung& rung, const Layout& layout,
                    const Packing& packing) const {
  Step out;
  Part part;
  part.node = static_cast<graph::NodeIndex>(step);
  out.live_bytes = rung.loads[step];
  const StepOption* option = rung.options[step];
  if (option == nullptr) {
    part.elided = true;
    out.parts.push_back(part);
    return out;
  }
  out.form = option->form;
  part.weights = option->manner.weights;
  part.split = option->manner.split;
  out.workers = option->manner.workers;
  out.predicted_ms = option->ms;
  const Scratch& scratch = layout.scratch[step];
  for (uint32_t worker = 0; worker < out.workers; ++worker) {
    if (scratch.slots != kNoBuffer) {
      out.slots.push_back(
          {packing.offsets[scratch.slots] + worker * option->slot_bytes, option->slot_bytes});
    }
    const bool none = scratch.workspaces == kNoBuffer;
    out.workspaces.push_back(
        none ? PoolRange{}
             : PoolRange{packing.offsets[scratch.workspaces] + worker * option->workspace_bytes,
                         option->workspace_bytes});
  }
  if (scratch.held != kNoBuffer) part.held = {packing.offsets[scratch.held], option->held_bytes};
  out.parts.push_back(part);
  const uint32_t rows = OutputRows(graph_, graph_.nodes[step]);
  const uint32_t band = option->form == Form::kBand ? option->band_rows : rows;
  for (uint32_t begin = 0; begin < rows; begin += band) {
    out.actions.push_back({ActionKind::kCompute, 0, begin, std::min(begin + band, rows)});
  }
  if (!option->overlay) return out;
  const Overlay& overlay = *option->overlay;
  const auto before =
      static_cast<int64_t>(packing.offsets[layout.storage_buffers[overlay.predecessor]]);
  const auto after =
      static_cast<int64_t>(packing.offsets[layout.storage_buffers[overlay.successor]]);
  if (after >= before + overlay.above) std::reverse(out.actions.begin(), out.actions.end());
  return out;
}

Plan Ladder::Assemble(const Rung& rung) const {
  const Layout layout = BuffersOf(rung);
  const Packing packing = Pack(layout.buffers, layout.overlays, rung.loads, rung.load_bytes);
  Plan plan;
  for (size_t i = 0; i < map_.views.size(); ++i) {
    const View& view = map_.views[i];
    const graph::RowShape rows = graph::RowsOf(graph_.tensors[i].shape);
    const uint64_t storage = packing.offsets[layout.storage_buffers[Position(view.storage)]];
    TensorPlan& tensor = plan.tensors.emplace_back();
    tensor.place = {storage + view.offset, rows.pixels * view.pitch, view.pitch};
  }
  for (size_t i = 0; i < map_.storages.size(); ++i) {
    if (layout.storage_buffers[i] == kNoBuffer) continue;
    plan.pool_bytes = std::max(
        plan.pool_bytes, packing.offsets[layout.storage_buffers[i]] + map_.storages[i].used_bytes);
  }
  for (StepNumber step = 0; step < graph_.nodes.size(); ++step) {
    plan.steps.push_back(StepOf(step, rung, layout, packing));
    const Step& made = plan.steps.back();
    plan.predicted_ms += made.predicted_ms;
    plan.threads = std::max(plan.threads, made.workers);
    const PoolRange& held = made.parts[0].held;
    uint64_t scratch_bytes = held.bytes;
    const auto include = [&](const PoolRange& range) {
      scratch_bytes += range.bytes;
      if (range.bytes > 0) plan.pool_bytes = std::max(plan.pool_bytes, range.offset + range.bytes);
    };
    for (const PoolRange& slot : made.slots) include(slot);
    for (const PoolRange& workspace : made.workspaces) include(workspace);
    if (held.bytes > 0) plan.pool_bytes = std::max(plan.pool_bytes, held.offset + held.bytes);
    plan.workspace_bytes = std::max(plan.workspace_bytes, scratch_bytes);
  }
  plan.live_load_bound_bytes = std::min(rung.load_bytes, plan.pool_bytes);
  return plan;
}

}  // namespace coracle::plan

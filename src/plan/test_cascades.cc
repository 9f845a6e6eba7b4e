#include "plan/test_cascades.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

uint32_t NodeRows(const Graph& graph, const Node& node) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  return kernels::PerImage(graph, node) ? rows.rows : static_cast<uint32_t>(rows.AllRows());
}

graph::Convoy ConvoyOf(const Graph& graph, uint32_t batch) {
  auto convoy = graph::Convoy::Make(graph, batch);
  CORACLE_CHECK(convoy.ok());
  return *std::move(convoy);
}

bool HasConstants(const Node& node) {
  const auto& chunks = node.weights.chunks;
  return !chunks.empty() && chunks[0].kind == graph::ChunkKind::kConstant;
}

/// Makes the actions of one step, whose parts, windows and tensors' homes are known.
class Schedule {
 public:
  Schedule(const Graph& graph, const Plan& plan, const CascadeOptions& options, Step& step)
      : graph_(graph), plan_(plan), options_(options), step_(step) {
    parts_.resize(step.parts.size());
    windows_.resize(step.windows.size());
  }

  void Make() {
    for (size_t part = step_.parts.size(); part-- > 0;) {
      Produce(static_cast<uint32_t>(part), NodeRows(graph_, NodeOf(part)));
    }
    SizeRings();
  }

 private:
  struct PartState {
    uint32_t done = 0;
  };
  struct WindowState {
    uint32_t opened = 0;
    uint32_t sealed = 0;
    uint32_t needed_from = UINT32_MAX;  ///< least row that later actions read
  };

  const Node& NodeOf(size_t part) const { return graph_.node(step_.parts[part].node); }

  std::optional<uint32_t> PartOf(TensorIndex tensor) const {
    for (uint32_t part = 0; part < parts_.size(); ++part) {
      if (NodeOf(part).output == tensor) return part;
    }
    return std::nullopt;
  }
  std::optional<uint32_t> WindowOf(TensorIndex tensor) const {
    for (uint32_t window = 0; window < windows_.size(); ++window) {
      if (step_.windows[window].tensor == tensor) return window;
    }
    return std::nullopt;
  }
  uint32_t TensorRows(uint32_t window) const {
    return graph::RowsOf(graph_.shape(step_.windows[window].tensor)).rows;
  }
  uint32_t BlockRows(uint32_t window) const {
    return plan_.tensors[Position(step_.windows[window].tensor)].block_rows;
  }

  uint32_t RowsPerAction(const Node& node) const {
    if (options_.granules == Granules::kCut) return options_.rows_per_action;
    const uint64_t whole = RoundUpToMultiple(options_.rows_per_action, kernels::RowGranule(node));
    return static_cast<uint32_t>(std::min<uint64_t>(whole, UINT32_MAX));
  }

  void Produce(uint32_t part, uint32_t until) {
    const Node& node = NodeOf(part);
    const uint32_t rows = NodeRows(graph_, node);
    const bool several = graph::RowsOf(graph_.shape(node.output)).images > 1;
    while (parts_[part].done < until) {
      const uint32_t begin = parts_[part].done;
      const uint32_t end = several ? rows : std::min(rows, begin + RowsPerAction(node));
      for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
        Provide(node.inputs[operand], kernels::InputRows(graph_, node, operand, {begin, end}).end);
      }
      step_.actions.push_back({ActionKind::kCompute, part, begin, end});
      parts_[part].done = end;
      SealBlocks(node.output, end);
    }
  }

  void Provide(TensorIndex tensor, uint32_t until) {
    if (const auto part = PartOf(tensor)) return Produce(*part, until);
    const auto window = WindowOf(tensor);
    if (!window) return;  // in the pool
    uint32_t& opened = windows_[*window].opened;
    while (opened < until) {
      const uint32_t end = std::min(opened + BlockRows(*window), TensorRows(*window));
      step_.actions.push_back({ActionKind::kOpen, *window, opened, end});
      opened = end;
    }
  }

  void SealBlocks(TensorIndex tensor, uint32_t done) {
    const auto window = WindowOf(tensor);
    if (!window || plan_.tensors[Position(tensor)].home != Home::kOutside) return;
    uint32_t& sealed = windows_[*window].sealed;
    while (sealed < done) {
      const uint32_t end = std::min(sealed + BlockRows(*window), TensorRows(*window));
      if (end > done) return;
      step_.actions.push_back({ActionKind::kSeal, *window, sealed, end});
      sealed = end;
    }
  }

  /// Backwards over the actions: a ring holds what one action writes and all that is still read.
  void SizeRings() {
    for (size_t i = step_.actions.size(); i-- > 0;) {
      const Action& action = step_.actions[i];
      if (action.kind == ActionKind::kSeal) Read(action.index, {action.begin, action.end});
      if (action.kind == ActionKind::kOpen) Write(action.index, {action.begin, action.end});
      if (action.kind != ActionKind::kCompute) continue;
      const Node& node = NodeOf(action.index);
      if (const auto out = WindowOf(node.output)) Write(*out, {action.begin, action.end});
      for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
        const auto in = WindowOf(node.inputs[operand]);
        const kernels::RowRange rows{action.begin, action.end};
        if (in) Read(*in, kernels::InputRows(graph_, node, operand, rows));
      }
    }
    for (uint32_t window = 0; window < windows_.size(); ++window) {
      uint32_t& ring_rows = step_.windows[window].ring_rows;
      ring_rows = std::max(ring_rows, 1U);  // a tensor outside of which nothing is read
      if (BlockRows(window) == 0) continue;
      const uint64_t whole_blocks = CeilDiv(ring_rows, BlockRows(window)) * BlockRows(window);
      ring_rows = static_cast<uint32_t>(std::min<uint64_t>(whole_blocks, TensorRows(window)));
    }
  }
  void Read(uint32_t window, kernels::RowRange rows) {
    if (rows.count() == 0) return;
    windows_[window].needed_from = std::min(windows_[window].needed_from, rows.begin);
  }
  void Write(uint32_t window, kernels::RowRange rows) {
    uint32_t& ring_rows = step_.windows[window].ring_rows;
    ring_rows = std::max(ring_rows, rows.end - std::min(rows.begin, windows_[window].needed_from));
  }

  const Graph& graph_;
  const Plan& plan_;
  const CascadeOptions& options_;
  Step& step_;
  std::vector<PartState> parts_;
  std::vector<WindowState> windows_;
};

class CascadeBuilder {
 public:
  CascadeBuilder(const Graph& graph, const CascadeOptions& options)
      : graph_(graph), convoy_(ConvoyOf(graph, options.batch)), options_(options) {}

  Plan Build() {
    plan_.batch = options_.batch;
    plan_.threads = options_.workers;
    DivideIntoSteps();
    ChooseHomes();
    for (size_t i = 0; i < plan_.steps.size(); ++i) MakeActions(i);
    PlaceLasting();
    const uint64_t scratch = plan_.pool_bytes;
    for (Step& step : plan_.steps) PlaceScratch(scratch, step);
    plan_.budget_bytes = plan_.pool_bytes;
    plan_.live_load_bound_bytes = plan_.pool_bytes;
    return std::move(plan_);
  }

 private:
  bool SeveralImages(const Node& node) const {
    return graph::RowsOf(graph_.shape(node.output)).images > 1;
  }

  void DivideIntoSteps() {
    bool alone = true;
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      const bool cut =
          std::find(options_.cuts.begin(), options_.cuts.end(), i) != options_.cuts.end();
      const bool several = SeveralImages(graph_.nodes[i]);
      if (cut || alone || several) plan_.steps.emplace_back();
      alone = several;
      plan_.steps.back().parts.push_back(PartFor(static_cast<graph::NodeIndex>(i)));
    }
    for (Step& step : plan_.steps) {
      const bool divided = std::any_of(step.parts.begin(), step.parts.end(),
                                       [](const Part& part) { return part.split != Split::kNone; });
      step.workers = divided ? options_.workers : 1;
    }
  }

  Part PartFor(graph::NodeIndex index) const {
    const Node& node = graph_.node(index);
    Part part;
    part.node = index;
    if (!node.weights.chunks.empty()) {
      const bool held = options_.weights == WeightsMode::kStreamed && HasConstants(node);
      part.weights = held ? WeightsMode::kHeld : options_.weights;
    }
    if (options_.workers == 1 || kernels::CarriesRows(node)) return part;
    const auto groups = std::count_if(node.weights.chunks.begin(), node.weights.chunks.end(),
                                      [](const auto& chunk) { return chunk.k_begin == 0; });
    const bool panels = options_.split == Split::kPanels &&
                        part.weights == WeightsMode::kStreamed && groups >= options_.workers;
    part.split = panels ? Split::kPanels : Split::kRows;
    return part;
  }

  bool IsPort(const std::vector<graph::Port>& ports, TensorIndex tensor) const {
    return std::any_of(ports.begin(), ports.end(),
                       [&](const graph::Port& port) { return port.tensor == tensor; });
  }

  /// Steps that make or read a tensor, ascending.
  std::vector<std::vector<size_t>> StepsByTensor() const {
    std::vector<std::vector<size_t>> touching(graph_.tensors.size());
    for (size_t step = 0; step < plan_.steps.size(); ++step) {
      for (const Part& part : plan_.steps[step].parts) {
        std::vector<TensorIndex> tensors = graph_.node(part.node).inputs;
        tensors.push_back(graph_.node(part.node).output);
        for (TensorIndex tensor : tensors) {
          auto& steps = touching[Position(tensor)];
          if (steps.empty() || steps.back() != step) steps.push_back(step);
        }
      }
    }
    return touching;
  }

  void ChooseHomes() {
    const auto touching = StepsByTensor();
    plan_.tensors.resize(graph_.tensors.size());
    for (TensorIndex tensor : options_.outside) {
      CORACLE_CHECK(CanLieOutside(graph_, tensor));
      TensorPlan& home = plan_.tensors[Position(tensor)];
      home.home = Home::kOutside;
      home.block_rows = std::min(options_.block_rows, graph::RowsOf(graph_.shape(tensor)).rows);
    }
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const auto tensor = static_cast<TensorIndex>(i);
      const bool port = IsPort(graph_.inputs, tensor) || IsPort(graph_.outputs, tensor);
      TensorPlan& home = plan_.tensors[i];
      const bool alone = plan_.steps[touching[i].empty() ? 0 : touching[i][0]].parts.size() == 1;
      if (home.home == Home::kPool && !port && touching[i].size() == 1 && !alone) {
        home.home = Home::kStep;
      }
      if (home.home == Home::kPool) continue;
      for (size_t step : touching[i]) {
        Window& window = plan_.steps[step].windows.emplace_back();
        window.tensor = tensor;
        window.place = Dense(tensor);
      }
    }
  }

  void MakeActions(size_t index) {
    Step& step = plan_.steps[index];
    if (step.windows.empty() && step.parts.size() == 1) step.turns = options_.turns;
    Schedule(Covered(step), plan_, options_, step).Make();
    const auto computes =
        std::count_if(step.actions.begin(), step.actions.end(),
                      [](const Action& action) { return action.kind == ActionKind::kCompute; });
    step.form = step.parts.size() > 1 ? Form::kCascade : computes > 1 ? Form::kBand : Form::kLayer;
  }

  const Graph& Covered(const Step& step) const {
    return step.turns == Turns::kTogether ? convoy_.all() : graph_;
  }

  Placement Dense(TensorIndex tensor) const {
    return {0, RowBytes(graph_, tensor), PixelBytes(graph_, tensor)};
  }

  /// The next `bytes` of the pool from `cursor` on.
  PoolRange Take(uint64_t bytes, uint64_t& cursor) {
    const PoolRange range{bytes == 0 ? 0 : cursor, bytes};
    cursor += RoundUp(bytes, kPoolAlignment);
    plan_.pool_bytes = std::max(plan_.pool_bytes, cursor);
    return range;
  }

  uint64_t BlockBytes(TensorIndex tensor) const {
    const TensorPlan& home = plan_.tensors[Position(tensor)];
    return home.home == Home::kOutside ? home.block_rows * RowBytes(graph_, tensor) : 0;
  }

  void PlaceLasting() {
    uint64_t cursor = 0;
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const auto tensor = static_cast<TensorIndex>(i);
      TensorPlan& home = plan_.tensors[i];
      const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
      if (home.home == Home::kPool) {
        home.place = Dense(tensor);
        const uint64_t all = options_.batch * rows.AllRows();
        home.place.offset = Take(all * RowBytes(graph_, tensor), cursor).offset;
      }
      if (home.home == Home::kOutside) {
        const uint64_t blocks = options_.batch * BlockCount(rows.rows, home.block_rows);
        home.counters = Take(blocks * sizeof(uint64_t), cursor);
      }
    }
    for (Step& step : plan_.steps) {
      for (Part& part : step.parts) {
        if (part.weights != WeightsMode::kPinned) continue;
        part.held = Take(graph_.node(part.node).weights.TotalBytes(), cursor);
        plan_.pinned_bytes += part.held.bytes;
      }
    }
    uint64_t input_bytes = 0;
    uint64_t output_bytes = 0;
    for (const auto& port : graph_.inputs) {
      input_bytes = std::max(input_bytes, BlockBytes(port.tensor));
    }
    for (const auto& port : graph_.outputs) {
      output_bytes = std::max(output_bytes, BlockBytes(port.tensor));
    }
    plan_.input_staging = Take(input_bytes, cursor);
    plan_.output_staging = Take(output_bytes, cursor);
  }

  void PlaceScratch(uint64_t begin, Step& step) {
    uint64_t cursor = begin;
    for (Window& window : step.windows) {
      window.place.offset = Take(window.ring_rows * window.place.row_stride_bytes, cursor).offset;
    }
    uint64_t slot_bytes = 0;
    uint64_t workspace_bytes = 0;
    const uint64_t scratch = cursor;
    for (Part& part : step.parts) {
      const Node& node = graph_.node(part.node);
      workspace_bytes = std::max(workspace_bytes, kernels::WorkspaceBytes(Covered(step), node));
      if (part.weights == WeightsMode::kHeld) part.held = Take(node.weights.TotalBytes(), cursor);
      if (part.weights != WeightsMode::kStreamed) continue;
      slot_bytes = std::max<uint64_t>(slot_bytes, node.weights.LargestChunkBytes());
    }
    for (uint32_t worker = 0; worker < step.workers; ++worker) {
      if (slot_bytes > 0) step.slots.push_back(Take(slot_bytes, cursor));
      step.workspaces.push_back(Take(workspace_bytes, cursor));
    }
    plan_.workspace_bytes = std::max(plan_.workspace_bytes, cursor - scratch);
    step.live_bytes = cursor;
  }

  const Graph& graph_;
  const graph::Convoy convoy_;
  const CascadeOptions& options_;
  Plan plan_;
};

}  // namespace

bool CanLieOutside(const Graph& graph, TensorIndex tensor) {
  return graph::RowsOf(graph.shape(tensor)).images == 1;
}

Plan MakeCascadePlan(const Graph& graph, const CascadeOptions& options) {
  return CascadeBuilder(graph, options).Build();
}

}  // namespace coracle::plan

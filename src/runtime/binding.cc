#include "runtime/binding.h"

#include <algorithm>

#include "base/check.h"
#include "graph/tensor_bytes.h"

namespace coracle::runtime {
namespace {

bool IsPort(const std::vector<graph::Port>& ports, graph::TensorIndex tensor) {
  return std::ranges::any_of(ports, [&](const graph::Port& port) { return port.tensor == tensor; });
}

std::vector<ChunkGroup> GroupChunks(const graph::WeightLayout& weights) {
  std::vector<ChunkGroup> groups;
  uint64_t offset = 0;
  for (uint32_t i = 0; i < weights.chunks.size(); ++i) {
    const graph::ChunkDescriptor& chunk = weights.chunks[i];
    const bool continues = chunk.kind == graph::ChunkKind::kPanels && chunk.k_begin > 0;
    if (continues) {
      groups.back().end = i + 1;
    } else {
      groups.push_back({i, i + 1, offset});
    }
    offset += chunk.bytes;
  }
  return groups;
}

void BindKernel(const graph::Graph& graph, const kernels::KernelSet& kernels, BoundPart& bound) {
  const graph::Node& node = *bound.node;
  bound.panel_kernel = kernels::PanelKernelOf(kernels, graph, node);
  if (bound.panel_kernel == nullptr) bound.row_kernel = kernels.rows[Position(node.kind())];
  CORACLE_CHECK(bound.panel_kernel != nullptr || bound.row_kernel != nullptr);
}

/// Binds the steps of one plan.
class Binder {
 public:
  Binder(const graph::Convoy& convoy, const plan::Plan& plan, const kernels::KernelSet& kernels,
         std::byte* pool)
      : convoy_(convoy), plan_(plan), kernels_(kernels), pool_(pool) {}

  BoundPlan Bind() const {
    BoundPlan bound;
    bound.steps.reserve(plan_.steps.size());
    for (const plan::Step& step : plan_.steps) {
      BoundStep& made = bound.steps.emplace_back();
      made.step = &step;
      if (step.actions.empty()) continue;
      if (step.turns == plan::Turns::kOneByOne) made.turns = convoy_.batch();
      BindParts(step, made, bound.pinned);
      for (const plan::Window& window : step.windows) made.windows.push_back(BindWindow(window));
      BindActions(step, made);
    }
    LinkOpenings(bound.steps);
    return bound;
  }

 private:
  void BindParts(const plan::Step& step, BoundStep& bound, std::vector<HeldChunk>& pinned) const {
    bound.parts.reserve(step.parts.size());
    for (const plan::Part& part : step.parts) {
      BoundPart& made = bound.parts.emplace_back();
      made.graph = step.turns == plan::Turns::kTogether ? &convoy_.all() : &convoy_.one();
      made.node = &made.graph->node(part.node);
      made.weights = part.weights;
      made.split = part.split;
      made.groups = GroupChunks(made.node->weights);
      BindOperands(step, bound.turns, made);
      BindKernel(*made.graph, kernels_, made);
      if (part.weights == plan::WeightsMode::kHeld) BindHeld(part, made, bound.held);
      if (part.weights == plan::WeightsMode::kPinned) BindHeld(part, made, pinned);
    }
  }

  void BindHeld(const plan::Part& part, BoundPart& bound, std::vector<HeldChunk>& list) const {
    std::byte* plain = pool_ + part.held.offset;
    bound.held = plain;
    for (const graph::ChunkDescriptor& chunk : bound.node->weights.chunks) {
      list.push_back({&chunk, plain});
      plain += chunk.bytes;
    }
  }

  void BindOperands(const plan::Step& step, uint32_t turns, BoundPart& bound) const {
    const graph::Graph& graph = *bound.graph;
    const graph::Node& node = *bound.node;
    const bool per_image = kernels::PerImage(graph, node);
    bound.turn_images = per_image ? graph::RowsOf(graph.shape(node.output)).images : 1;
    const uint32_t images = turns * bound.turn_images;
    const size_t count = node.inputs.size();
    const auto rows_in = [&](graph::TensorIndex tensor, uint32_t image) {
      kernels::Rows rows = RowsIn(step, graph, tensor, per_image, image % bound.turn_images);
      if (plan_.tensors[Position(tensor)].home == plan::Home::kPool) {
        const uint64_t before =
            image / bound.turn_images * graph::RowsOf(graph.shape(tensor)).AllRows();
        rows.SkipRows(before);
      }
      return rows;
    };
    bound.operands.reserve(images * count);
    for (uint32_t image = 0; image < images; ++image) {
      for (const graph::TensorIndex input : node.inputs) {
        bound.operands.push_back(rows_in(input, image));
      }
    }
    for (uint32_t image = 0; image < images; ++image) {
      const std::span<const kernels::Rows> all(bound.operands);
      bound.images.push_back({all.subspan(image * count, count), rows_in(node.output, image)});
    }
  }

  /// The rows of a tensor of the first turn where the step finds them. `image` picks one of
  /// shape.images; whole tensors (kernels::PerImage false) are one image of all rows.
  kernels::Rows RowsIn(const plan::Step& step, const graph::Graph& graph, graph::TensorIndex tensor,
                       bool per_image, uint32_t image) const {
    const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
    kernels::Rows rows;
    rows.element_bytes = graph::ElementBytes(graph, tensor);
    rows.rows = per_image ? shape.rows : static_cast<uint32_t>(shape.AllRows());
    rows.pixels = shape.pixels;
    rows.channels = shape.channels;
    const plan::Placement* place = &plan_.tensors.at(Position(tensor)).place;
    if (const plan::Window* window = WindowOn(step, tensor)) {
      place = &window->place;
      // A ring that never wraps is linear: kernels take shortcuts through dense images.
      if (window->ring_rows < rows.rows) rows.ring_rows = window->ring_rows;
    }
    rows.row_stride = static_cast<ptrdiff_t>(place->row_stride_bytes / rows.element_bytes);
    rows.pixel_stride = static_cast<ptrdiff_t>(place->pixel_stride_bytes / rows.element_bytes);
    // An operand with fewer images than the result is broadcast over them.
    const uint32_t own_image = shape.images == 1 ? 0 : image;
    rows.base = pool_ + place->offset;
    if (per_image) rows.SkipRows(uint64_t{own_image} * shape.rows);
    return rows;
  }

  const plan::Window* WindowOn(const plan::Step& step, graph::TensorIndex tensor) const {
    if (plan_.tensors.at(Position(tensor)).home == plan::Home::kPool) return nullptr;
    const auto found = std::ranges::find(step.windows, tensor, &plan::Window::tensor);
    CORACLE_CHECK(found != step.windows.end());
    return &*found;
  }

  BoundWindow BindWindow(const plan::Window& window) const {
    BoundWindow bound;
    if (plan_.tensors.at(Position(window.tensor)).home != plan::Home::kOutside) return bound;
    const graph::Graph& graph = convoy_.one();
    bound.outside = BindOutside(graph, plan_, window.tensor, pool_);
    bound.base = pool_ + window.place.offset;
    bound.ring_rows = window.ring_rows;
    bound.spilled = !IsPort(graph.inputs, window.tensor) && !IsPort(graph.outputs, window.tensor);
    return bound;
  }

  static void BindActions(const plan::Step& step, BoundStep& bound) {
    bound.actions.reserve(step.actions.size());
    for (const plan::Action& action : step.actions) {
      BoundAction made{action.kind, action.index, action.begin, action.end, nullptr};
      if (action.kind != plan::ActionKind::kCompute) {
        const uint32_t block_rows = bound.windows.at(action.index).outside.block_rows;
        made.begin = action.begin / block_rows;
        made.end = static_cast<uint32_t>(plan::BlockCount(action.end, block_rows));
      }
      bound.actions.push_back(made);
    }
  }

  /// Walks backward: weights to open, or pinned ones, are asked for by the nearest action before
  /// that can.
  static void LinkOpenings(std::vector<BoundStep>& steps) {
    const BoundPart* pending = nullptr;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      LinkActions(*step, pending);
      // But for the last one, a turn is followed by the next.
      if (step->turns > 1) LinkActions(*step, pending);
      for (const BoundPart& part : step->parts) {
        if (part.weights != plan::WeightsMode::kHeld) continue;
        pending = &part;
        break;
      }
    }
  }

  static void LinkActions(BoundStep& step, const BoundPart*& pending) {
    for (auto action = step.actions.rbegin(); action != step.actions.rend(); ++action) {
      if (action->kind != plan::ActionKind::kCompute) continue;
      const BoundPart& part = step.parts[action->index];
      if (part.panel_kernel == nullptr) continue;
      action->following = pending;
      const bool waits = part.weights == plan::WeightsMode::kStreamed ||
                         part.weights == plan::WeightsMode::kPinned;
      pending = waits ? &part : nullptr;
    }
  }

  const graph::Convoy& convoy_;
  const plan::Plan& plan_;
  const kernels::KernelSet& kernels_;
  std::byte* const pool_;
};

/// The highest end of the ranges that it was shown.
struct HighWater {
  uint64_t end = 0;

  void Include(const plan::PoolRange& range) {
    if (range.bytes > 0) end = std::max(end, range.offset + range.bytes);
  }
  void Include(const plan::Placement& place, const graph::Graph& graph, graph::TensorIndex tensor,
               uint64_t rows) {
    const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
    end = std::max(end, place.offset + (rows - 1) * place.row_stride_bytes +
                            (shape.pixels - 1) * place.pixel_stride_bytes +
                            graph::PixelBytes(graph, tensor));
  }
};

}  // namespace

std::span<std::byte> BoundWindow::Block(uint32_t block) const {
  const uint64_t row = uint64_t{block % outside.blocks_per_input} * outside.block_rows;
  const uint64_t slot = row % ring_rows;
  return {base + slot * outside.row_bytes, outside.BlockBytes(block)};
}

BoundPlan BindPlan(const graph::Convoy& convoy, const plan::Plan& plan,
                   const kernels::KernelSet& kernels, std::span<std::byte> pool) {
  CORACLE_CHECK(pool.size() >= plan.pool_bytes && convoy.batch() == plan.batch);
  return Binder(convoy, plan, kernels, pool.data()).Bind();
}

uint64_t HighestByte(const graph::Convoy& convoy, const plan::Plan& plan) {
  HighWater water;
  const graph::Graph& graph = convoy.one();
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const plan::TensorPlan& tensor = plan.tensors[i];
    const auto index = static_cast<graph::TensorIndex>(i);
    if (tensor.home == plan::Home::kPool) {
      water.Include(tensor.place, graph, index,
                    convoy.batch() * graph::RowsOf(graph.shape(index)).AllRows());
    }
    if (tensor.home == plan::Home::kOutside) water.Include(tensor.counters);
  }
  water.Include(plan.input_staging);
  water.Include(plan.output_staging);
  for (const plan::PoolRange& range : plan.decoding) water.Include(range);
  for (const plan::Step& step : plan.steps) {
    for (const plan::Window& window : step.windows) {
      water.Include(window.place, graph, window.tensor, window.ring_rows);
    }
    for (const plan::PoolRange& slot : step.slots) water.Include(slot);
    for (const plan::PoolRange& workspace : step.workspaces) water.Include(workspace);
    for (const plan::Part& part : step.parts) water.Include(part.held);
  }
  return water.end;
}

}  // namespace coracle::runtime

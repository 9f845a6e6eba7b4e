#include "plan/test_simulation.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// Identifies one value of one tensor. 0: rubbish.
using Value = uint64_t;

/// The index along each axis of element `linear`.
std::vector<uint64_t> Coordinates(const Shape& shape, uint64_t linear) {
  std::vector<uint64_t> at(shape.rank());
  for (uint32_t axis = shape.rank(); axis-- > 0;) {
    at[axis] = linear % shape[axis];
    linear /= shape[axis];
  }
  return at;
}

uint64_t Linear(const Shape& shape, const std::vector<uint64_t>& at) {
  uint64_t linear = 0;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) linear = linear * shape[axis] + at[axis];
  return linear;
}

/// Where a tensor's rows lie: in the pool for good, or in a window of the step at hand.
struct Placed {
  Placement place;
  uint32_t ring_rows = 0;  ///< 0: all rows
};

class Simulation {
 public:
  Simulation(const graph::Convoy& convoy, const Plan& plan)
      : convoy_(convoy),
        graph_(convoy_.one()),
        plan_(plan),
        cell_shift_(CellShift(graph_)),
        cells_((plan.pool_bytes >> cell_shift_) + 1),
        values_(graph_.tensors.size()),
        weights_(graph_.nodes.size()),
        sealed_(graph_.tensors.size()),
        counters_(graph_.tensors.size()) {}

  std::string Run() {
    for (const Step& step : plan_.steps) OpenWeights(step, WeightsMode::kPinned);
    for (const graph::Port& port : graph_.inputs) Provide(port.tensor);
    for (const Step& step : plan_.steps) {
      if (step.parts[0].elided) {
        const Node& node = graph_.node(step.parts[0].node);
        values_[Position(node.output)] = Rearranged(node);
      } else {
        Execute(step);
      }
      if (!error_.empty()) return error_;
    }
    step_ = nullptr;
    Spoil(plan_.output_staging);
    for (input_ = 0; input_ < convoy_.batch(); ++input_) ReadOutputs();
    return error_;
  }

 private:
  void ReadOutputs() {
    for (const graph::Port& port : graph_.outputs) {
      const kernels::RowRange all{0, AllRows(port.tensor)};
      if (Outside(port.tensor)) {
        Unseal(port.tensor, all, "after the last step");
      } else {
        ReadRows(port.tensor, all, "after the last step");
      }
    }
  }

  /// Of one input.
  uint32_t AllRows(TensorIndex tensor) const {
    return static_cast<uint32_t>(graph::RowsOf(graph_.shape(tensor)).AllRows());
  }
  const TensorPlan& HomeOf(TensorIndex tensor) const { return plan_.tensors[Position(tensor)]; }
  bool Outside(TensorIndex tensor) const { return HomeOf(tensor).home == Home::kOutside; }

  void Fail(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  void MakeValues(TensorIndex tensor) {
    std::vector<Value>& values = values_[Position(tensor)];
    if (!values.empty()) return;
    values.resize(convoy_.all().shape(tensor).Elements());
    for (size_t i = 0; i < values.size(); ++i) values[i] = ++last_value_;
  }

  /// A graph input arrives.
  void Provide(TensorIndex tensor) {
    MakeValues(tensor);
    for (input_ = 0; input_ < convoy_.batch(); ++input_) {
      if (!Outside(tensor)) {
        WriteRows(tensor, {0, AllRows(tensor)});
        continue;
      }
      Spoil(plan_.input_staging);
      Seal(tensor, {0, AllRows(tensor)});
    }
    input_ = 0;
  }

  /// The values of the result of a Concat, Slice or Reshape.
  std::vector<Value> Rearranged(const Node& node) const {
    const Graph& graph = convoy_.all();
    const Shape& shape = graph.shape(node.output);
    std::vector<Value> values(shape.Elements());
    for (uint64_t i = 0; i < values.size(); ++i) {
      TensorIndex source = node.inputs[0];
      std::vector<uint64_t> at = Coordinates(shape, i);
      if (const auto* concat = std::get_if<graph::Concat>(&node.attrs)) {
        for (TensorIndex input : node.inputs) {
          source = input;
          if (at[concat->axis] < graph.shape(input)[concat->axis]) break;
          at[concat->axis] -= graph.shape(input)[concat->axis];
        }
      } else if (const auto* slice = std::get_if<graph::Slice>(&node.attrs)) {
        for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
          at[axis] = static_cast<uint64_t>(slice->starts[axis] +
                                           static_cast<int64_t>(at[axis]) * slice->steps[axis]);
        }
      } else {
        at = Coordinates(graph.shape(source), i);
      }
      values[i] = values_[Position(source)][Linear(graph.shape(source), at)];
    }
    return values;
  }

  Placed PlacedOf(TensorIndex tensor) const {
    if (HomeOf(tensor).home == Home::kPool) return {HomeOf(tensor).place, 0};
    for (const Window& window : step_->windows) {
      if (window.tensor == tensor) return {window.place, window.ring_rows};
    }
    return {};
  }

  /// Cells are as large as the smallest element: all places and sizes are multiples.
  static uint32_t CellShift(const Graph& graph) {
    return std::ranges::any_of(graph.tensors,
                               [](const auto& tensor) { return DTypeBytes(tensor.dtype) == 1; })
               ? 0
               : 2;
  }
  std::span<Value> Cells(uint64_t begin, uint64_t bytes) {
    return std::span(cells_).subspan(begin >> cell_shift_, bytes >> cell_shift_);
  }
  void WriteCells(uint64_t begin, uint64_t bytes, Value value) {
    for (Value& cell : Cells(begin, bytes)) cell = value;
  }
  bool CellsHold(uint64_t begin, uint64_t bytes, Value value) {
    for (const Value cell : Cells(begin, bytes)) {
      if (cell != value) return false;
    }
    return true;
  }

  uint64_t ElementBytes(TensorIndex tensor) const {
    return DTypeBytes(graph_.tensor(tensor).dtype);
  }

  /// Rows of the input at hand: calls visit(first byte, element).
  template <typename Visit>
  void ForEach(TensorIndex tensor, kernels::RowRange range, Visit visit) {
    const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
    const Placed placed = PlacedOf(tensor);
    const Placement& place = placed.place;
    const uint64_t before = input_ * rows.AllRows();
    const uint64_t bytes = ElementBytes(tensor);
    uint64_t element = (before + range.begin) * rows.RowElements();
    for (uint64_t row = range.begin; row < range.end; ++row) {
      const uint64_t slot = placed.ring_rows == 0 ? before + row : row % placed.ring_rows;
      for (uint64_t pixel = 0; pixel < rows.pixels; ++pixel) {
        const uint64_t begin =
            place.offset + slot * place.row_stride_bytes + pixel * place.pixel_stride_bytes;
        for (uint64_t c = 0; c < rows.channels; ++c, ++element) visit(begin + c * bytes, element);
      }
    }
  }

  void WriteRows(TensorIndex tensor, kernels::RowRange range) {
    const std::vector<Value>& values = values_[Position(tensor)];
    const uint64_t bytes = ElementBytes(tensor);
    ForEach(tensor, range,
            [&](uint64_t begin, uint64_t element) { WriteCells(begin, bytes, values[element]); });
  }

  void ReadRows(TensorIndex tensor, kernels::RowRange range, const std::string& when) {
    const std::vector<Value>& values = values_[Position(tensor)];
    const uint64_t bytes = ElementBytes(tensor);
    ForEach(tensor, range, [&](uint64_t begin, uint64_t element) {
      if (CellsHold(begin, bytes, values[element]) || !error_.empty()) return;
      Fail(fmt::format("{} element {} is not there {}", graph_.tensor(tensor).name, element, when));
    });
  }

  void Spoil(const PoolRange& range) { WriteCells(range.offset, range.bytes, 0); }

  /// The block that begins with a row of the input at hand.
  uint64_t BlockOf(TensorIndex tensor, uint32_t row) const {
    const uint32_t block_rows = HomeOf(tensor).block_rows;
    return input_ * BlockCount(AllRows(tensor), block_rows) + row / block_rows;
  }

  /// The first byte of a block's counter.
  uint64_t CounterOf(TensorIndex tensor, uint64_t block) const {
    return HomeOf(tensor).counters.offset + block * sizeof(uint64_t);
  }

  /// Counters of the blocks and the rows themselves go out.
  void Seal(TensorIndex tensor, kernels::RowRange range) {
    std::vector<bool>& sealed = sealed_[Position(tensor)];
    std::vector<Value>& counters = counters_[Position(tensor)];
    const uint32_t block_rows = HomeOf(tensor).block_rows;
    sealed.resize(size_t{convoy_.batch()} * AllRows(tensor));
    counters.resize(convoy_.batch() * BlockCount(AllRows(tensor), block_rows));
    for (uint32_t row = range.begin; row < range.end; ++row) {
      sealed[size_t{input_} * AllRows(tensor) + row] = true;
    }
    for (uint32_t row = range.begin; row < range.end; row += block_rows) {
      const uint64_t block = BlockOf(tensor, row);
      counters[block] = ++last_value_;
      WriteCells(CounterOf(tensor, block), sizeof(uint64_t), last_value_);
    }
  }

  void Unseal(TensorIndex tensor, kernels::RowRange range, const std::string& when) {
    const std::vector<bool>& sealed = sealed_[Position(tensor)];
    const uint32_t block_rows = HomeOf(tensor).block_rows;
    for (uint32_t row = range.begin; row < range.end; ++row) {
      const size_t at = size_t{input_} * AllRows(tensor) + row;
      if (at >= sealed.size() || !sealed[at]) {
        return Fail(
            fmt::format("{} row {} is not sealed {}", graph_.tensor(tensor).name, row, when));
      }
    }
    for (uint32_t row = range.begin; row < range.end; row += block_rows) {
      const uint64_t block = BlockOf(tensor, row);
      const Value counter = counters_[Position(tensor)][block];
      if (CellsHold(CounterOf(tensor, block), sizeof(uint64_t), counter)) continue;
      Fail(fmt::format("{} has lost a counter {}", graph_.tensor(tensor).name, when));
    }
  }

  const Graph& Covered() const { return step_->turns == Turns::kTogether ? convoy_.all() : graph_; }

  bool InPlace(const Node& node, uint32_t operand) const {
    const TensorPlan& in = HomeOf(node.inputs[operand]);
    const TensorPlan& out = HomeOf(node.output);
    return in.home == Home::kPool && out.home == Home::kPool && in.place == out.place &&
           graph_.shape(node.inputs[operand]) == graph_.shape(node.output) &&
           ElementBytes(node.inputs[operand]) == ElementBytes(node.output) &&
           kernels::InPlaceAllowed(graph_, node, operand);
  }

  void OpenWeights(const Step& step, WeightsMode mode) {
    for (const Part& part : step.parts) {
      if (part.weights != mode) continue;
      std::vector<Value>& values = weights_[Position(part.node)];
      values.resize(graph_.node(part.node).weights.TotalBytes() >> cell_shift_);
      const std::span<Value> cells = Cells(part.held.offset, values.size() << cell_shift_);
      for (size_t i = 0; i < values.size(); ++i) cells[i] = values[i] = ++last_value_;
    }
  }

  void ReadWeights(const Part& part, const std::string& when) {
    if (part.weights != WeightsMode::kHeld && part.weights != WeightsMode::kPinned) return;
    const std::vector<Value>& values = weights_[Position(part.node)];
    const std::span<Value> cells = Cells(part.held.offset, values.size() << cell_shift_);
    if (std::ranges::equal(cells, values)) return;
    Fail(fmt::format("its weights are not there {}", when));
  }

  void SpoilScratch() {
    for (const PoolRange& slot : step_->slots) Spoil(slot);
    for (const PoolRange& range : step_->workspaces) Spoil(range);
  }

  void Execute(const Step& step) {
    step_ = &step;
    input_ = 0;
    for (const Window& window : step.windows) {
      ForEach(window.tensor, {0, window.ring_rows},
              [&](uint64_t begin, uint64_t) { WriteCells(begin, ElementBytes(window.tensor), 0); });
    }
    OpenWeights(step, WeightsMode::kHeld);
    SpoilScratch();
    const uint32_t turns = step.turns == Turns::kTogether ? 1 : convoy_.batch();
    for (; input_ < turns && error_.empty(); ++input_) TakeTurn(step);
  }

  void TakeTurn(const Step& step) {
    for (const Action& action : step.actions) {
      const kernels::RowRange rows{action.begin, action.end};
      if (action.kind == ActionKind::kCompute) {
        Compute(step.parts[action.index], rows);
      } else if (action.kind == ActionKind::kOpen) {
        const TensorIndex tensor = step.windows[action.index].tensor;
        Unseal(tensor, rows, "to be opened");
        WriteRows(tensor, rows);
      } else {
        const TensorIndex tensor = step.windows[action.index].tensor;
        ReadRows(tensor, rows, "to be sealed");
        Seal(tensor, rows);
      }
      if (!error_.empty()) return;
    }
  }

  /// All workers write all before any reads anything, but for operands that the output replaces
  /// value by value; slots and workspaces are written before and after.
  void Compute(const Part& part, kernels::RowRange range) {
    const Node& node = graph_.node(part.node);
    const Graph& graph = Covered();
    MakeValues(node.output);
    const graph::RowShape out = graph::RowsOf(graph.shape(node.output));
    const uint32_t images = kernels::PerImage(graph, node) ? out.images : 1;
    const std::string when = fmt::format("in {} rows {}..{}", node.name, range.begin, range.end);
    const auto read = [&](uint32_t operand) {
      const TensorIndex in = node.inputs[operand];
      const kernels::RowRange need = kernels::InputRows(graph, node, operand, range);
      const graph::RowShape rows = graph::RowsOf(graph.shape(in));
      for (uint32_t image = 0; image < images; ++image) {
        const uint32_t first = images == 1 || rows.images == 1 ? 0 : image * rows.rows;
        ReadRows(in, {first + need.begin, first + need.end}, when);
      }
    };
    SpoilScratch();
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      if (InPlace(node, operand)) read(operand);
    }
    if (kernels::CarriesRows(node) && range.begin > 0) {
      ReadRows(node.output, {range.begin - 1, range.begin}, when);
    }
    for (uint32_t image = 0; image < images; ++image) {
      WriteRows(node.output, {image * out.rows + range.begin, image * out.rows + range.end});
    }
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      if (!InPlace(node, operand)) read(operand);
    }
    ReadWeights(part, when);
    SpoilScratch();
  }

  const graph::Convoy convoy_;
  const Graph& graph_;  // for one input
  const Plan& plan_;
  const Step* step_ = nullptr;
  uint32_t input_ = 0;  // at hand
  const uint32_t cell_shift_;
  std::vector<Value> cells_;                  // of the pool
  std::vector<std::vector<Value>> values_;    // by TensorIndex, by element
  std::vector<std::vector<Value>> weights_;   // by NodeIndex: held and pinned ones, by cell
  std::vector<std::vector<bool>> sealed_;     // by TensorIndex, by row: what lies outside
  std::vector<std::vector<Value>> counters_;  // by TensorIndex, by block: last sealed under
  Value last_value_ = 0;
  std::string error_;
};

}  // namespace

std::string Simulate(const Graph& graph, const Plan& plan) {
  const auto convoy = graph::Convoy::Make(graph, plan.batch);
  if (!convoy.ok()) return convoy.error().message;
  return Simulation(*convoy, plan).Run();
}

}  // namespace coracle::plan

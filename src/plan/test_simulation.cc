#include "plan/test_simulation.h"

#include <algorithm>
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

class Simulation {
 public:
  Simulation(const Graph& graph, const Plan& plan)
      : graph_(graph), plan_(plan), cells_(plan.pool_bytes / sizeof(float) + 1) {
    values_.resize(graph.tensors.size());
  }

  std::string Run() {
    for (const graph::Port& port : graph_.inputs) {
      MakeValues(port.tensor);
      WriteRows(port.tensor, {0, AllRows(port.tensor)});
    }
    for (const Step& step : plan_.steps) {
      const Node& node = graph_.node(step.node);
      if (step.elided) {
        values_[Position(node.output)] = Rearranged(node);
      } else {
        MakeValues(node.output);
        Execute(step, node);
      }
      if (!error_.empty()) return error_;
    }
    for (const graph::Port& port : graph_.outputs) {
      ReadRows(port.tensor, {0, AllRows(port.tensor)}, "after the last step");
    }
    return error_;
  }

 private:
  uint32_t AllRows(TensorIndex tensor) const {
    return static_cast<uint32_t>(graph::RowsOf(graph_.shape(tensor)).AllRows());
  }

  void MakeValues(TensorIndex tensor) {
    std::vector<Value>& values = values_[Position(tensor)];
    values.resize(graph_.shape(tensor).Elements());
    for (size_t i = 0; i < values.size(); ++i) values[i] = ++last_value_;
  }

  /// The values of the result of a Concat, Slice or Reshape.
  std::vector<Value> Rearranged(const Node& node) const {
    const Shape& shape = graph_.shape(node.output);
    std::vector<Value> values(shape.Elements());
    for (uint64_t i = 0; i < values.size(); ++i) {
      TensorIndex source = node.inputs[0];
      std::vector<uint64_t> at = Coordinates(shape, i);
      if (const auto* concat = std::get_if<graph::Concat>(&node.attrs)) {
        for (TensorIndex input : node.inputs) {
          source = input;
          if (at[concat->axis] < graph_.shape(input)[concat->axis]) break;
          at[concat->axis] -= graph_.shape(input)[concat->axis];
        }
      } else if (const auto* slice = std::get_if<graph::Slice>(&node.attrs)) {
        for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
          at[axis] = static_cast<uint64_t>(slice->starts[axis] +
                                           static_cast<int64_t>(at[axis]) * slice->steps[axis]);
        }
      } else {
        at = Coordinates(graph_.shape(source), i);
      }
      values[i] = values_[Position(source)][Linear(graph_.shape(source), at)];
    }
    return values;
  }

  template <typename Visit>
  void ForEach(TensorIndex tensor, kernels::RowRange range, Visit visit) {
    const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
    const Placement& place = plan_.placements[Position(tensor)];
    uint64_t element = range.begin * rows.RowElements();
    for (uint64_t row = range.begin; row < range.end; ++row) {
      for (uint64_t pixel = 0; pixel < rows.pixels; ++pixel) {
        const uint64_t begin =
            (place.offset + row * place.row_stride_bytes + pixel * place.pixel_stride_bytes) /
            sizeof(float);
        for (uint64_t c = 0; c < rows.channels; ++c, ++element) visit(begin + c, element);
      }
    }
  }

  void WriteRows(TensorIndex tensor, kernels::RowRange range) {
    const std::vector<Value>& values = values_[Position(tensor)];
    ForEach(tensor, range,
            [&](uint64_t cell, uint64_t element) { cells_[cell] = values[element]; });
  }

  void ReadRows(TensorIndex tensor, kernels::RowRange range, const std::string& when) {
    const std::vector<Value>& values = values_[Position(tensor)];
    ForEach(tensor, range, [&](uint64_t cell, uint64_t element) {
      if (cells_[cell] == values[element] || !error_.empty()) return;
      error_ =
          fmt::format("{} element {} is not there {}", graph_.tensor(tensor).name, element, when);
    });
  }

  void Spoil(const PoolRange& range) {
    for (uint64_t byte = 0; byte < range.bytes; byte += sizeof(float)) {
      cells_[(range.offset + byte) / sizeof(float)] = 0;
    }
  }

  bool InPlace(const Node& node, uint32_t operand) const {
    return plan_.placements[Position(node.inputs[operand])] ==
               plan_.placements[Position(node.output)] &&
           graph_.shape(node.inputs[operand]) == graph_.shape(node.output) &&
           kernels::InPlaceAllowed(graph_, node, operand);
  }

  void Execute(const Step& step, const Node& node) {
    for (const PoolRange& slot : step.slots) Spoil(slot);
    for (const PoolRange& range : step.workspaces) Spoil(range);
    Spoil(step.held);
    const bool per_image = kernels::PerImage(graph_, node);
    const graph::RowShape out = graph::RowsOf(graph_.shape(node.output));
    const uint32_t rows = per_image ? out.rows : AllRows(node.output);
    const uint32_t band_rows = step.form == Form::kBand ? step.band_rows : rows;
    const uint32_t bands = (rows + band_rows - 1) / band_rows;
    for (uint32_t i = 0; i < bands; ++i) {
      const uint32_t band = step.direction == Direction::kUp ? bands - 1 - i : i;
      const uint32_t begin = band * band_rows;
      ExecuteBand(node, {begin, std::min(begin + band_rows, rows)}, per_image ? out.images : 1,
                  out.rows);
    }
    for (const PoolRange& slot : step.slots) Spoil(slot);
    for (const PoolRange& range : step.workspaces) Spoil(range);
    Spoil(step.held);
  }

  /// Writes all before it reads all, but for operands that the output replaces value by value.
  void ExecuteBand(const Node& node, kernels::RowRange band, uint32_t images, uint32_t out_rows) {
    const std::string when = fmt::format("in {} rows {}..{}", node.name, band.begin, band.end);
    const auto read = [&](uint32_t operand) {
      const TensorIndex in = node.inputs[operand];
      const kernels::RowRange need = kernels::InputRows(graph_, node, operand, band);
      const graph::RowShape rows = graph::RowsOf(graph_.shape(in));
      for (uint32_t image = 0; image < images; ++image) {
        const uint32_t first = images == 1 || rows.images == 1 ? 0 : image * rows.rows;
        ReadRows(in, {first + need.begin, first + need.end}, when);
      }
    };
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      if (InPlace(node, operand)) read(operand);
    }
    for (uint32_t image = 0; image < images; ++image) {
      WriteRows(node.output, {image * out_rows + band.begin, image * out_rows + band.end});
    }
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      if (!InPlace(node, operand)) read(operand);
    }
  }

  const Graph& graph_;
  const Plan& plan_;
  std::vector<Value> cells_;                // one per float of the pool
  std::vector<std::vector<Value>> values_;  // by TensorIndex, by element
  Value last_value_ = 0;
  std::string error_;
};

}  // namespace

std::string Simulate(const Graph& graph, const Plan& plan) { return Simulation(graph, plan).Run(); }

}  // namespace coracle::plan

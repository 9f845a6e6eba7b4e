// Recurrence: a plain loop over steps, sequences, gates and units.
#include "kernels/recurrence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

using graph::CellKind;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// One sequence.
class Cell {
 public:
  Cell(const RowArgs& args, const Image& image)
      : attrs_(std::get<graph::Recurrence>(args.node->attrs)),
        cell_(attrs_),
        constants_(args.constants),
        image_(image),
        state_(size_t{cell_.states} * cell_.hidden) {}

  /// Makes output row `step` of the row before it, or of the initial state.
  void Step(uint32_t step) {
    LoadState(step);
    const bool forward = attrs_.order == graph::TimeOrder::kForward;
    x_ = image_.inputs[0].Row(forward ? step : image_.inputs[0].rows - 1 - step);
    float* out = image_.output.Row(step);
    const std::vector<float> h(state_.begin(), state_.begin() + cell_.hidden);
    const std::vector<float> sums = Sums(cell_.stages[0], constants_, h.data());
    if (attrs_.cell == CellKind::kLstm) {
      StepLstm(sums, out);
    } else if (attrs_.cell == CellKind::kElman) {
      for (uint32_t j = 0; j < cell_.hidden; ++j) {
        out[j] = static_cast<float>(std::tanh(Clipped(x_[j] + sums[j])));
      }
    } else {
      StepGru(sums, h, out);
    }
  }

 private:
  void LoadState(uint32_t step) {
    for (uint32_t s = 0; s < cell_.states; ++s) {
      for (uint32_t j = 0; j < cell_.hidden; ++j) state_[s * cell_.hidden + j] = Before(step, s, j);
    }
  }

  float Before(uint32_t step, uint32_t s, uint32_t j) const {
    if (step > 0) return image_.output.Row(step - 1)[s * cell_.hidden + j];
    switch (attrs_.initial) {
      case graph::InitialState::kZero:
        return 0;
      case graph::InitialState::kConstant:
        return constants_[cell_.StateOffset() + uint64_t{s} * cell_.padded + j];
      case graph::InitialState::kTensors:
        break;
    }
    return image_.inputs[1 + s].Row(0)[j];
  }

  /// bias + h R of a stage: gates one behind the other, `hidden` values each. One FMA chain each.
  std::vector<float> Sums(const CellGeometry::Stage& stage, const float* block,
                          const float* h) const {
    std::vector<float> sums;
    const uint32_t columns = cell_.StageColumns(stage);
    for (uint32_t column = 0; column < columns; ++column) {
      if (column % cell_.padded >= cell_.hidden) continue;
      const uint32_t first = column / kPanelChannels * kPanelChannels;
      const uint32_t width = std::min(kPanelChannels, columns - first);
      const float* panel = block + uint64_t{first} * (cell_.hidden + 1) + (column - first);
      float sum = panel[0];
      for (uint32_t k = 0; k < cell_.hidden; ++k) {
        sum = std::fma(h[k], panel[uint64_t{k + 1} * width], sum);
      }
      sums.push_back(sum);
    }
    return sums;
  }

  double Clipped(double x) const {
    const double clip = attrs_.clip;
    return clip > 0 ? std::clamp(x, -clip, clip) : x;
  }

  /// What gate `g` of unit `j` gets.
  double Gate(const std::vector<float>& sums, uint32_t g, uint32_t j) const {
    const uint32_t at = g * cell_.hidden + j;
    return Clipped(double{x_[at]} + double{sums[at]});
  }

  void StepLstm(const std::vector<float>& sums, float* out) const {
    for (uint32_t j = 0; j < cell_.hidden; ++j) {
      const double i = Sigmoid(Gate(sums, 0, j));
      const double o = Sigmoid(Gate(sums, 1, j));
      const double f = Sigmoid(Gate(sums, 2, j));
      const double g = std::tanh(Gate(sums, 3, j));
      const double c = f * double{state_[cell_.hidden + j]} + i * g;
      out[j] = static_cast<float>(o * std::tanh(c));
      out[cell_.hidden + j] = static_cast<float>(c);
    }
  }

  void StepGru(const std::vector<float>& sums, const std::vector<float>& h, float* out) const {
    const uint32_t n = cell_.hidden;
    std::vector<double> added(n);  // to the candidate's x
    if (attrs_.cell == CellKind::kGru) {
      std::vector<float> passed(n);
      for (uint32_t j = 0; j < n; ++j) {
        passed[j] = static_cast<float>(Sigmoid(Gate(sums, 1, j)) * double{h[j]});
      }
      const float* block = constants_ + cell_.StageFloats(cell_.stages[0]);
      const std::vector<float> candidate = Sums(cell_.stages[1], block, passed.data());
      std::copy(candidate.begin(), candidate.end(), added.begin());
    } else {
      for (uint32_t j = 0; j < n; ++j) {
        added[j] = Sigmoid(Gate(sums, 1, j)) * double{sums[2 * n + j]};
      }
    }
    for (uint32_t j = 0; j < n; ++j) {
      const double z = Sigmoid(Gate(sums, 0, j));
      const double candidate = std::tanh(Clipped(double{x_[2 * n + j]} + added[j]));
      out[j] = static_cast<float>((1 - z) * candidate + z * double{h[j]});
    }
  }

  const graph::Recurrence& attrs_;
  const CellGeometry cell_;
  const float* constants_;
  const Image& image_;
  std::vector<float> state_;  // before the step
  const float* x_ = nullptr;
};

}  // namespace

void Recurrence(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    Cell cell(args, image);
    for (uint32_t step = rows.begin; step < rows.end; ++step) cell.Step(step);
  }
}

}  // namespace coracle::kernels::reference

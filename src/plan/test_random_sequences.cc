// Random networks over sequences: recurrences in both directions, attention, and what stands
// between.
#include <random>

#include "plan/test_networks.h"

namespace coracle::plan {
namespace {

using T = graph::TensorIndex;

class RandomSequences {
 public:
  explicit RandomSequences(uint32_t seed) : random_(seed) {}

  graph::Graph Make() {
    const uint32_t images = Below(4) == 0 ? 2 : 1;
    const uint32_t steps = Below(3) == 0 ? 30 + Below(60) : 1 + Below(14);
    T x = net_.Input({images, steps, 3 + Below(30)});
    for (uint32_t i = 2 + Below(6); i > 0; --i) x = Grow(x);
    net_.Output(x);
    return net_.Finish();
  }

 private:
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  T Grow(T x) {
    const uint32_t channels = net_.ShapeOf(x).Back(0);
    switch (Below(6)) {
      case 0:
        return net_.Relu(x);
      case 1:
        return net_.Dense(x, 4 + Below(40));
      case 2:
        return Attend(x);
      case 3:
        return net_.Concat({Recur(x), Recur(x)}, 2);
      case 4:
        return net_.Add(x, net_.Dense(Recur(x), channels));
      default:
        return Recur(x);
    }
  }

  T Recur(T x) {
    graph::Recurrence cell;
    cell.cell = static_cast<graph::CellKind>(Below(4));
    cell.hidden = 1 + Below(40);
    if (Below(2) == 0) cell.order = graph::TimeOrder::kBackward;
    const T gates = net_.Dense(x, graph::GateCount(cell.cell) * cell.hidden);
    std::vector<T> inputs = {gates};
    if (Below(3) == 0) {
      cell.initial = graph::InitialState::kTensors;
      const Shape shape = {net_.ShapeOf(x)[0], 1, cell.hidden};
      inputs.resize(cell.cell == graph::CellKind::kLstm ? 3 : 2, net_.Input(shape));
    }
    const T states = net_.Recurrence(cell, std::move(inputs));
    const T h = Below(3) == 0 ? states : net_.Slice(states, 2, 0, cell.hidden);
    if (Below(3) == 0) net_.Output(net_.Slice(h, 1, net_.ShapeOf(h)[1] - 1, 1));  // the last state
    return h;
  }

  T Attend(T x) {
    const Shape shape = net_.ShapeOf(x);
    const uint32_t heads = 1 + Below(3);
    const uint32_t depth = 1 + Below(20);
    const auto split = [&] {
      const T dense = net_.Dense(x, heads * depth);
      return net_.Reshape(dense, {shape[0], shape[1], heads, depth});
    };
    const T q = split();
    const T k = split();
    const T v = split();
    return net_.Reshape(net_.Attention(q, k, v), {shape[0], shape[1], heads * depth});
  }

  std::mt19937 random_;
  NetworkBuilder net_;
};

}  // namespace

graph::Graph MakeRandomSequences(uint32_t seed) { return RandomSequences(seed).Make(); }

}  // namespace coracle::plan

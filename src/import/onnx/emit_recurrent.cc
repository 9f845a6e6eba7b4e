// LSTM, GRU and RNN: per direction a Dense over all time steps for what the input adds to the
// gates, a Recurrence, and slices of its states.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "import/onnx/emit.h"

namespace coracle::import {

using graph::CellKind;
using graph::InitialState;
using graph::TensorIndex;

namespace {

enum Operand : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

struct Layer {
  graph::Recurrence cell;
  std::vector<graph::TimeOrder> directions;
  bool batch_first = false;  // layout 1
  uint32_t batch = 0, steps = 0, inputs = 0;

  uint32_t Gates() const { return graph::GateCount(cell.cell); }
  uint32_t Sums() const { return Gates() * cell.hidden; }
};

Result<CellKind> CellOf(const OnnxNode& node) {
  const std::string& type = node.proto().op_type();
  if (type == "LSTM") return CellKind::kLstm;
  if (type == "RNN") return CellKind::kElman;
  TRY_ASSIGN(const int64_t reset_after, node.Int("linear_before_reset", 0));
  return reset_after != 0 ? CellKind::kGruResetAfter : CellKind::kGru;
}

/// Sigmoid and Tanh, where each belongs.
Status CheckActivations(const OnnxNode& node, CellKind cell, size_t directions) {
  const onnx::AttributeProto* given = node.Find("activations");
  if (given == nullptr || given->strings_size() == 0) return {};
  std::vector<std::string> wanted = {"tanh"};
  if (cell != CellKind::kElman) wanted = {"sigmoid", "tanh"};
  if (cell == CellKind::kLstm) wanted.emplace_back("tanh");
  bool usual = static_cast<size_t>(given->strings_size()) == wanted.size() * directions;
  for (int i = 0; usual && i < given->strings_size(); ++i) {
    std::string name = given->strings(i);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    usual = name == wanted[static_cast<size_t>(i) % wanted.size()];
  }
  if (usual) return {};
  return node.Unsupported("only its default activations (Sigmoid, Tanh) are supported");
}

Result<std::vector<graph::TimeOrder>> DirectionsOf(const OnnxNode& node) {
  using Orders = std::vector<graph::TimeOrder>;
  TRY_ASSIGN(const std::string direction, node.String("direction", "forward"));
  if (direction == "forward") return Orders{graph::TimeOrder::kForward};
  if (direction == "reverse") return Orders{graph::TimeOrder::kBackward};
  if (direction == "bidirectional") {
    return Orders{graph::TimeOrder::kForward, graph::TimeOrder::kBackward};
  }
  return node.Malformed("its direction is none of forward, reverse, bidirectional");
}

Result<Layer> ReadLayer(const OnnxNode& node, const GraphBuilder& builder) {
  Layer layer;
  TRY_ASSIGN(layer.cell.cell, CellOf(node));
  TRY_ASSIGN(layer.directions, DirectionsOf(node));
  TRY(CheckActivations(node, layer.cell.cell, layer.directions.size()));
  TRY_ASSIGN(layer.cell.clip, node.Float("clip", 0));
  TRY_ASSIGN(const int64_t layout, node.Int("layout", 0));
  layer.batch_first = layout != 0;
  TRY_ASSIGN(const int64_t coupled, node.Int("input_forget", 0));
  if (coupled != 0) return node.Unsupported("coupled input and forget gates are not supported");
  TRY_ASSIGN(const TensorIndex x, node.Tensor(kX));
  const Shape& shape = builder.shape(x);
  if (shape.rank() != 3) return node.Malformed("its input is not of rank 3");
  layer.batch = shape[layer.batch_first ? 0 : 1];
  layer.steps = shape[layer.batch_first ? 1 : 0];
  layer.inputs = shape[2];
  TRY_ASSIGN(const ConstantPtr r, node.FloatConstant(kR));
  if (r->shape.rank() != 3) return node.Malformed("its R is not of rank 3");
  layer.cell.hidden = r->shape[2];
  TRY_ASSIGN(const int64_t hidden, node.Int("hidden_size", layer.cell.hidden));
  if (hidden != layer.cell.hidden) return node.Malformed("its hidden_size is not its R's");
  return layer;
}

Result<ConstantPtr> Weights(const OnnxNode& node, Operand operand, const Shape& expected) {
  TRY_ASSIGN(const ConstantPtr constant, node.FloatConstant(operand));
  if (constant->shape == expected) return constant;
  return node.Malformed(fmt::format("input {} is {}, must be {}", static_cast<size_t>(operand),
                                    constant->shape.ToString(), expected.ToString()));
}

/// One direction's matrix of [directions, rows, columns].
ConstantPtr MatrixOf(const ConstantPtr& stack, size_t direction) {
  auto matrix = std::make_shared<graph::Constant>(*stack);
  matrix->shape = {stack->shape[1], stack->shape[2]};
  const size_t bytes = matrix->shape.Elements() * sizeof(float);
  matrix->bytes = stack->bytes.subspan(direction * bytes, bytes);
  return matrix;
}

/// Every sequence must have all steps, and no gate may look at the cell.
Status CheckRest(const OnnxNode& node, const Layer& layer) {
  if (node.HasInput(kLengths)) {
    TRY_ASSIGN(const std::vector<int64_t> lengths, node.Integers(kLengths));
    const bool full = std::all_of(lengths.begin(), lengths.end(),
                                  [&](int64_t length) { return length == layer.steps; });
    if (!full) return node.Unsupported("sequences shorter than its input are not supported");
  }
  if (!node.HasInput(kPeepholes)) return {};
  TRY_ASSIGN(const std::vector<float> peepholes, node.Floats(kPeepholes));
  const bool none = std::all_of(peepholes.begin(), peepholes.end(), [](float p) { return p == 0; });
  return none ? Status() : node.Unsupported("peepholes are not supported");
}

/// W and R of one direction, with their biases.
struct Sources {
  std::shared_ptr<graph::WeightSource> w = std::make_shared<graph::WeightSource>();
  std::shared_ptr<graph::WeightSource> r = std::make_shared<graph::WeightSource>();
};

Result<Sources> SourcesOf(const OnnxNode& node, const Layer& layer, size_t direction) {
  const auto directions = static_cast<uint32_t>(layer.directions.size());
  Sources sources;
  TRY_ASSIGN(const ConstantPtr w, Weights(node, kW, {directions, layer.Sums(), layer.inputs}));
  TRY_ASSIGN(const ConstantPtr r, Weights(node, kR, {directions, layer.Sums(), layer.cell.hidden}));
  sources.w->weight = MatrixOf(w, direction);
  sources.w->dense_order = graph::DenseOrder::kOutputsByInputs;
  sources.r->weight = MatrixOf(r, direction);
  if (!node.HasInput(kB)) return sources;
  TRY(Weights(node, kB, {directions, 2 * layer.Sums()}));
  TRY_ASSIGN(const std::vector<float> biases, node.Floats(kB));
  const auto first = biases.begin() + static_cast<ptrdiff_t>(direction * 2 * layer.Sums());
  sources.w->bias.assign(first, first + layer.Sums());
  sources.r->bias.assign(first + layer.Sums(), first + ptrdiff_t{2} * layer.Sums());
  return sources;
}

/// An initial state that is a constant: one direction's values, the same for every sequence.
Result<std::vector<float>> ConstantState(const OnnxNode& node, const Layer& layer, Operand operand,
                                         size_t direction) {
  const uint32_t hidden = layer.cell.hidden;
  if (!node.HasInput(operand)) return std::vector<float>(hidden);
  const auto directions = static_cast<uint32_t>(layer.directions.size());
  const Shape expected = layer.batch_first ? Shape{layer.batch, directions, hidden}
                                           : Shape{directions, layer.batch, hidden};
  TRY(Weights(node, operand, expected));
  TRY_ASSIGN(const std::vector<float> all, node.Floats(operand));
  std::vector<float> state;
  for (size_t sequence = 0; sequence < layer.batch; ++sequence) {
    const size_t row =
        layer.batch_first ? sequence * directions + direction : direction * layer.batch + sequence;
    const auto first = all.begin() + static_cast<ptrdiff_t>(row * hidden);
    if (sequence == 0) state.assign(first, first + hidden);
    if (!std::equal(state.begin(), state.end(), first)) {
      return node.Unsupported("constant initial states that differ between sequences");
    }
  }
  return state;
}

/// An initial state that the network computes or gets: [batch, 1, hidden] of one direction.
EmitResult StateTensor(const OnnxNode& node, GraphBuilder& builder, const Layer& layer,
                       Operand operand, size_t direction) {
  TRY_ASSIGN(const Value value, node.Input(operand));
  if (value.is_constant()) {
    return node.Unsupported("initial_h and initial_c must both be constants, or neither");
  }
  const auto directions = static_cast<uint32_t>(layer.directions.size());
  const Shape expected = layer.batch_first ? Shape{layer.batch, directions, layer.cell.hidden}
                                           : Shape{directions, layer.batch, layer.cell.hidden};
  if (value.shape != expected) {
    return node.Malformed("an initial state is not " + expected.ToString());
  }
  const std::string name = node.name() + "/initial";
  graph::Slice slice{{0, 0, 0}, {1, 1, 1}};
  Shape one = expected;
  const uint32_t axis = layer.batch_first ? 1 : 0;
  slice.starts[axis] = static_cast<int64_t>(direction);
  one.Set(axis, 1);
  TRY_ASSIGN(const TensorIndex state, builder.Slice(name, value.tensor, std::move(slice), one));
  return builder.Reshape(name, state, {layer.batch, 1, layer.cell.hidden});
}

bool IsComputed(const OnnxNode& node, Operand operand) {
  if (!node.HasInput(operand)) return false;
  const Result<Value> value = node.Input(operand);
  return value.ok() && !value->is_constant();
}

/// The states after every step of one direction, in the order of its steps. `x` is [N, T, inputs].
EmitResult EmitDirection(const OnnxNode& node, GraphBuilder& builder, const Layer& layer,
                         TensorIndex x, size_t direction) {
  TRY_ASSIGN(const Sources sources, SourcesOf(node, layer, direction));
  TRY_ASSIGN(
      const TensorIndex gates,
      builder.Emit(node.name() + "/input",
                   {.attrs = graph::Dense{layer.Sums()}, .inputs = {x}, .source = sources.w}));
  graph::Recurrence cell = layer.cell;
  cell.order = layer.directions[direction];
  std::vector<TensorIndex> inputs = {gates};
  const bool lstm = cell.cell == CellKind::kLstm;
  if (IsComputed(node, kInitialH) || (lstm && IsComputed(node, kInitialC))) {
    cell.initial = InitialState::kTensors;
    for (const Operand operand : {kInitialH, kInitialC}) {
      if (operand == kInitialC && !lstm) break;
      TRY_ASSIGN(const TensorIndex state, StateTensor(node, builder, layer, operand, direction));
      inputs.push_back(state);
    }
  } else {
    std::vector<float>& state = sources.r->initial_state;
    TRY_ASSIGN(state, ConstantState(node, layer, kInitialH, direction));
    if (lstm) {
      TRY_ASSIGN(const std::vector<float> c, ConstantState(node, layer, kInitialC, direction));
      state.insert(state.end(), c.begin(), c.end());
    }
    const bool zero = std::all_of(state.begin(), state.end(), [](float v) { return v == 0; });
    cell.initial = zero ? InitialState::kZero : InitialState::kConstant;
    if (zero) state.clear();
  }
  return builder.Emit(node.name(),
                      {.attrs = cell, .inputs = std::move(inputs), .source = sources.r});
}

/// Y's share of one direction: h after every step, by time, [N, T, hidden].
EmitResult SequenceOf(const OnnxNode& node, GraphBuilder& builder, const Layer& layer,
                      TensorIndex states, graph::TimeOrder order) {
  const bool backward = order == graph::TimeOrder::kBackward;
  const Shape shape = {layer.batch, layer.steps, layer.cell.hidden};
  if (!backward && builder.shape(states) == shape) return states;
  const graph::Slice slice{{0, backward ? int64_t{layer.steps} - 1 : 0, 0},
                           {1, backward ? -1 : 1, 1}};
  return builder.Slice(node.name() + "/y", states, slice, shape);
}

/// Y_h's or Y_c's share of one direction: the state after the last step.
EmitResult LastOf(const OnnxNode& node, GraphBuilder& builder, const Layer& layer,
                  TensorIndex states, uint32_t state) {
  const std::string name = node.name() + (state == 0 ? "/y_h" : "/y_c");
  const uint32_t hidden = layer.cell.hidden;
  const graph::Slice slice{{0, int64_t{layer.steps} - 1, int64_t{state} * hidden}, {1, 1, 1}};
  TRY_ASSIGN(const TensorIndex last, builder.Slice(name, states, slice, {layer.batch, 1, hidden}));
  if (layer.batch_first) return last;
  return builder.Reshape(name, last, {1, layer.batch, hidden});
}

EmitResult Join(const OnnxNode& node, GraphBuilder& builder, std::vector<TensorIndex> parts,
                uint32_t axis) {
  if (parts.size() == 1) return parts[0];
  return builder.Emit(node.name() + "/directions",
                      {.attrs = graph::Concat{axis}, .inputs = std::move(parts)});
}

/// Y of all directions, which lie beside each other at every step: what mostly comes next makes one
/// vector of them.
EmitResult JoinSequences(const OnnxNode& node, GraphBuilder& builder, const Layer& layer,
                         std::vector<TensorIndex> sequences) {
  const auto directions = static_cast<uint32_t>(layer.directions.size());
  const std::string name = node.name() + "/y";
  TRY_ASSIGN(const TensorIndex beside, Join(node, builder, std::move(sequences), 2));
  TRY_ASSIGN(
      const TensorIndex apart,
      builder.Reshape(name, beside, {layer.batch, layer.steps, directions, layer.cell.hidden}));
  if (layer.batch_first) return apart;
  return builder.Transpose(name, apart, {1, 2, 0, 3});
}

}  // namespace

Result<std::vector<TensorIndex>> EmitRecurrent(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const Layer layer, ReadLayer(node, builder));
  TRY(CheckRest(node, layer));
  TRY_ASSIGN(TensorIndex x, node.Tensor(kX));
  if (!layer.batch_first) {
    TRY_ASSIGN(x, builder.Transpose(node.name() + "/x", x, {1, 0, 2}));
  }
  const uint32_t state_count = layer.cell.cell == CellKind::kLstm ? 2 : 1;
  std::vector<TensorIndex> sequences;
  std::vector<std::vector<TensorIndex>> last(state_count);
  for (size_t direction = 0; direction < layer.directions.size(); ++direction) {
    TRY_ASSIGN(const TensorIndex states, EmitDirection(node, builder, layer, x, direction));
    TRY_ASSIGN(const TensorIndex y,
               SequenceOf(node, builder, layer, states, layer.directions[direction]));
    sequences.push_back(y);
    for (uint32_t state = 0; state < state_count; ++state) {
      TRY_ASSIGN(const TensorIndex one, LastOf(node, builder, layer, states, state));
      last[state].push_back(one);
    }
  }
  TRY_ASSIGN(const TensorIndex y, JoinSequences(node, builder, layer, std::move(sequences)));
  std::vector<TensorIndex> outputs = {y};
  for (std::vector<TensorIndex>& parts : last) {
    TRY_ASSIGN(const TensorIndex joined,
               Join(node, builder, std::move(parts), layer.batch_first ? 1 : 0));
    outputs.push_back(joined);
  }
  return outputs;
}

}  // namespace coracle::import

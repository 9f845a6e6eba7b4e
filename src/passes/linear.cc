#include "passes/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/check.h"

namespace coracle::passes {
namespace {

using graph::BinaryKind;
using graph::Graph;
using graph::Node;
using graph::Operands;
using graph::TensorIndex;

constexpr size_t kMaxLinearConstants = size_t{1} << 20;

/// One value where all are the same.
std::vector<double> Widen(const std::vector<float>& values, double neutral) {
  if (values.empty()) return {neutral};
  const bool uniform =
      std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
  if (uniform) return {static_cast<double>(values[0])};
  return {values.begin(), values.end()};
}

/// True if the constant has one element, or varies along `axis` of `shape` only.
bool VariesAlong(const Shape& constant, const Shape& shape, uint32_t axis) {
  if (constant.rank() > shape.rank()) return false;
  if (constant.Elements() == 1) return true;
  const uint32_t lead = shape.rank() - constant.rank();
  if (axis < lead || axis >= shape.rank()) return false;
  for (uint32_t i = 0; i < constant.rank(); ++i) {
    if (constant[i] != (i + lead == axis ? shape[axis] : 1)) return false;
  }
  return true;
}

std::optional<Linear> MatchBinary(const Graph& graph, const Node& node, uint32_t axis) {
  const auto& binary = std::get<graph::Binary>(node.attrs);
  if (binary.operands == Operands::kTensors || node.source == nullptr) return std::nullopt;
  const Shape& shape = graph.shape(node.inputs[0]);
  if (!VariesAlong(binary.constant_shape, shape, axis)) return std::nullopt;
  if (binary.constant_shape.Elements() > kMaxLinearConstants) return std::nullopt;
  std::vector<double> values = Widen(FloatsOf(*node.source->weight), 0);
  const bool left = binary.operands == Operands::kConstantLeft;
  Linear linear{node.inputs[0]};
  switch (binary.kind) {
    case BinaryKind::kMul:
      linear.scale = std::move(values);
      return linear;
    case BinaryKind::kAdd:
      linear.shift = std::move(values);
      return linear;
    case BinaryKind::kSub:
      if (left) linear.scale = {-1};
      if (!left) std::transform(values.begin(), values.end(), values.begin(), std::negate<>());
      linear.shift = std::move(values);
      return linear;
    case BinaryKind::kDiv:
      if (left) return std::nullopt;
      for (double& value : values) {
        value = 1 / value;
        if (!std::isfinite(static_cast<float>(value))) return std::nullopt;
      }
      linear.scale = std::move(values);
      return linear;
    default:
      return std::nullopt;
  }
}

}  // namespace

uint32_t ChannelAxis(const Graph& graph, const Shape& shape) {
  return graph.stage == graph::Stage::kRows ? shape.rank() - 1 : 1;
}

bool Linear::OnlyScales() const {
  return std::all_of(shift.begin(), shift.end(), [](double value) { return value == 0; });
}

std::optional<Linear> MatchLinear(const Graph& graph, const Node& node, uint32_t axis) {
  if (node.kind() == graph::OpKind::kBinary) return MatchBinary(graph, node, axis);
  if (node.kind() != graph::OpKind::kAffine) return std::nullopt;
  if (axis != ChannelAxis(graph, graph.shape(node.inputs[0]))) return std::nullopt;
  const graph::WeightSource source = CopySource(node);
  return Linear{node.inputs[0], Widen(source.scale, 1), Widen(source.bias, 0)};
}

std::optional<Linear> MatchScalarLinear(const Graph& graph, const Node& node) {
  if (node.kind() != graph::OpKind::kBinary || node.activation != graph::Activation{}) {
    return std::nullopt;
  }
  const auto& binary = std::get<graph::Binary>(node.attrs);
  if (binary.operands == Operands::kTensors || binary.constant_shape.Elements() != 1) {
    return std::nullopt;
  }
  return MatchBinary(graph, node, 0);
}

std::optional<ScaleShift> MatchLinearOf(const Rewriter& rewriter, TensorIndex tensor,
                                        TensorIndex x) {
  ScaleShift result;
  for (int steps = 0; steps <= 3; ++steps) {
    if (tensor == x) return result;
    const Node* node = rewriter.SoleProducer(tensor);
    if (node == nullptr) return std::nullopt;
    const auto linear = MatchScalarLinear(rewriter.graph(), *node);
    if (!linear) return std::nullopt;
    result.shift += result.scale * linear->shift[0];
    result.scale *= linear->scale[0];
    tensor = linear->input;
  }
  return std::nullopt;
}

Linear Compose(const Linear& inner, const Linear& outer, size_t count) {
  const size_t size = inner.Uniform() && outer.Uniform() ? 1 : count;
  Linear result{inner.input, std::vector<double>(size), std::vector<double>(size)};
  for (size_t i = 0; i < size; ++i) {
    result.scale[i] = inner.ScaleAt(i) * outer.ScaleAt(i);
    result.shift[i] = inner.ShiftAt(i) * outer.ScaleAt(i) + outer.ShiftAt(i);
  }
  return result;
}

std::vector<float> FloatsOf(const graph::Constant& constant) {
  CORACLE_CHECK(constant.dtype == DType::kFloat32);
  std::vector<float> values(constant.bytes.size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), constant.bytes.data(), values.size() * sizeof(float));
  }
  return values;
}

std::vector<float> ToChannels(const std::vector<double>& values, size_t count, double neutral) {
  if (std::all_of(values.begin(), values.end(), [=](double v) { return v == neutral; })) return {};
  std::vector<float> floats(count);
  for (size_t i = 0; i < count; ++i) {
    floats[i] = static_cast<float>(values.size() == 1 ? values[0] : values[i]);
  }
  return floats;
}

graph::WeightSource CopySource(const Node& node) {
  return node.source == nullptr ? graph::WeightSource{} : *node.source;
}

void ApplyToSource(const Linear& linear, size_t channels, graph::WeightSource& source) {
  const Linear inner{linear.input, Widen(source.scale, 1), Widen(source.bias, 0)};
  const Linear both = Compose(inner, linear, channels);
  source.scale = ToChannels(both.scale, channels, 1);
  source.bias = ToChannels(both.shift, channels, 0);
}

}  // namespace coracle::passes

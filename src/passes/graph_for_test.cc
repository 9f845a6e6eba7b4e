#include "passes/graph_for_test.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/dump.h"
#include "graph/infer.h"

namespace coracle::passes {

using graph::TensorIndex;
using graph::WeightSource;

TensorIndex GraphForTest::Input(Shape shape) {
  const std::string name = fmt::format("in{}", graph_.inputs.size());
  const TensorIndex tensor = graph_.AddTensor(name, shape);
  std::vector<uint32_t> perm;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) perm.push_back(axis);
  graph_.inputs.push_back({name, tensor, shape, perm});
  return tensor;
}

void GraphForTest::Output(TensorIndex tensor) {
  std::vector<uint32_t> perm;
  for (uint32_t axis = 0; axis < shape(tensor).rank(); ++axis) perm.push_back(axis);
  graph_.outputs.push_back(
      {fmt::format("out{}", graph_.outputs.size()), tensor, shape(tensor), perm});
}

TensorIndex GraphForTest::Add(graph::Attributes attrs, std::vector<TensorIndex> inputs,
                              WeightSource source, Shape declared) {
  graph::Node node;
  node.name = fmt::format("n{}", graph_.nodes.size());
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  const bool has_source = source.weight != nullptr || !source.scale.empty() ||
                          !source.bias.empty() || node.kind() == graph::OpKind::kLayerNorm;
  if (has_source) node.source = std::make_shared<WeightSource>(std::move(source));
  std::vector<Shape> shapes;
  for (TensorIndex input : node.inputs) shapes.push_back(shape(input));
  const auto inferred = graph::InferShape(node, shapes, graph_.stage, declared);
  if (!inferred.ok()) ADD_FAILURE() << inferred.error().message;
  std::vector<DType> dtypes;
  for (TensorIndex input : node.inputs) dtypes.push_back(graph_.tensor(input).dtype);
  const auto dtype = graph::InferDType(node, dtypes, DType::kFloat32);
  if (!dtype.ok()) ADD_FAILURE() << dtype.error().message;
  node.output =
      graph_.AddTensor(fmt::format("t{}", graph_.tensors.size()), inferred.value(), dtype.value());
  const TensorIndex output = node.output;
  graph_.AddNode(std::move(node));
  return output;
}

std::vector<float> GraphForTest::Floats(uint64_t count, float low, float high) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random_);
  return values;
}

TensorIndex GraphForTest::Quantize(TensorIndex x, graph::Quantization to) {
  return Add(graph::Quantize{.out = to}, {x});
}

TensorIndex GraphForTest::Dequantize(TensorIndex x, graph::Quantization from) {
  return Add(graph::Dequantize{.in = from}, {x});
}

void GraphForTest::QuantizeWeight(TensorIndex layer, bool per_channel) {
  const auto made = [&](const graph::Node& node) { return node.output == layer; };
  graph::Node& node = *std::find_if(graph_.nodes.begin(), graph_.nodes.end(), made);
  WeightSource source = *node.source;
  const Shape shape = source.weight->shape;
  const bool outputs_last = node.kind() == graph::OpKind::kDense &&
                            source.dense_order == graph::DenseOrder::kInputsByOutputs;
  const uint32_t axis = outputs_last ? 1 : 0;
  const uint32_t channels = shape[axis];
  const uint64_t stride = outputs_last ? 1 : shape.Elements() / channels;
  auto from = std::make_shared<graph::DequantizedFrom>();
  from->axis = axis;
  for (uint32_t n = 0; n < (per_channel ? channels : 1); ++n) {
    from->scale.push_back(std::ldexp(1.0F, -static_cast<int>(6 + n % 3)));
    from->zero.push_back(static_cast<int32_t>(100 + n));
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(shape.Elements());
  std::vector<float> floats(shape.Elements());
  for (uint64_t i = 0; i < floats.size(); ++i) {
    const size_t at = i / stride % channels % from->scale.size();
    const auto q = static_cast<uint8_t>(random_() & 0xFFU);
    (*bytes)[i] = static_cast<std::byte>(q);
    floats[i] = from->scale[at] * static_cast<float>(q - from->zero[at]);
  }
  auto integers = std::make_shared<graph::Constant>();
  integers->dtype = DType::kUint8;
  integers->shape = shape;
  integers->bytes = Bytes(*bytes);
  integers->owner = std::move(bytes);
  from->integers = std::move(integers);
  auto weight = std::make_shared<graph::Constant>(*MakeConstant(shape, std::move(floats)));
  weight->from = std::move(from);
  source.weight = std::move(weight);
  node.source = std::make_shared<WeightSource>(std::move(source));
}

TensorIndex GraphForTest::Conv(TensorIndex x, uint32_t out_channels, graph::Window window,
                               uint32_t groups) {
  const Shape weight{out_channels, shape(x)[1] / groups, window.kernel_h, window.kernel_w};
  WeightSource source;
  const float bound = 1 / std::sqrt(static_cast<float>(weight.Elements() / out_channels));
  source.weight = MakeConstant(weight, Floats(weight.Elements(), -bound, 2 * bound));
  source.bias = Floats(out_channels, -0.5F, 0.5F);
  return Add(graph::Conv{window, groups, out_channels}, {x}, std::move(source));
}

TensorIndex GraphForTest::Dense(TensorIndex x, uint32_t outputs) {
  const uint32_t inputs = shape(x).Back(0);
  const float bound = 1 / std::sqrt(static_cast<float>(inputs));
  WeightSource source;
  if (outputs % 2 == 0) source.dense_order = graph::DenseOrder::kOutputsByInputs;
  const Shape weight = outputs % 2 == 0 ? Shape{outputs, inputs} : Shape{inputs, outputs};
  source.weight = MakeConstant(weight, Floats(weight.Elements(), -bound, 2 * bound));
  return Add(graph::Dense{outputs}, {x}, std::move(source));
}

TensorIndex GraphForTest::Unary(TensorIndex x, graph::ActivationKind kind, float a, float b) {
  const TensorIndex output = Add(graph::Unary{}, {x});
  graph_.nodes.back().activation = {kind, a, b};
  return output;
}

TensorIndex GraphForTest::Binary(graph::BinaryKind kind, TensorIndex a, TensorIndex b) {
  return Add(graph::Binary{kind, graph::Operands::kTensors, {}}, {a, b});
}

TensorIndex GraphForTest::Constant(graph::BinaryKind kind, TensorIndex x, Shape shape,
                                   std::vector<float> values, graph::Operands side) {
  WeightSource source;
  source.weight = MakeConstant(shape, std::move(values));
  return Add(graph::Binary{kind, side, shape}, {x}, std::move(source));
}

TensorIndex GraphForTest::Reshape(TensorIndex x, Shape shape) {
  return Add(graph::Reshape{}, {x}, {}, shape);
}

TensorIndex GraphForTest::Transpose(TensorIndex x, std::vector<uint32_t> perm) {
  return Add(graph::Transpose{std::move(perm)}, {x});
}

TensorIndex GraphForTest::Mean(TensorIndex x, std::vector<uint32_t> axes) {
  return Add(graph::Reduce{graph::ReduceKind::kMean, std::move(axes)}, {x});
}

std::shared_ptr<const graph::Constant> MakeConstant(Shape shape, std::vector<float> values) {
  EXPECT_EQ(shape.Elements(), values.size());
  auto owner = std::make_shared<std::vector<float>>(std::move(values));
  auto constant = std::make_shared<graph::Constant>();
  constant->shape = shape;
  constant->bytes = std::as_bytes(std::span(*owner));
  constant->owner = std::move(owner);
  return constant;
}

NamedValues RandomInputs(const graph::Graph& graph, uint32_t seed) {
  GraphForTest source(seed);
  NamedValues inputs;
  for (const graph::Port& port : graph.inputs) {
    inputs[port.name] = source.Floats(port.shape.Elements(), -2, 2);
  }
  return inputs;
}

size_t CountOf(const graph::Graph& graph, graph::OpKind kind) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(),
                    [&](const graph::Node& node) { return node.kind() == kind; }));
}

void ExpectSameResults(const graph::Graph& before, const graph::Graph& after, uint32_t seed) {
  const NamedValues inputs = RandomInputs(before, seed);
  const NamedValues expected = Interpret(before, inputs);
  const NamedValues actual = Interpret(after, inputs);
  ASSERT_EQ(expected.size(), actual.size());
  for (const auto& [name, values] : expected) {
    const std::vector<float>& got = actual.at(name);
    ASSERT_EQ(values.size(), got.size()) << name;
    float largest = 1;
    for (float value : values) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], got[i], 1e-4F * largest) << name << "[" << i << "]\n"
                                                      << graph::Dump(before) << "\n"
                                                      << graph::Dump(after);
    }
  }
}

}  // namespace coracle::passes

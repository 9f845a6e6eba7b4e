// Small graphs for tests: a builder that appends nodes with inferred shapes, and random graphs.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "passes/interpreter_for_test.h"

namespace coracle::passes {

/// Builds a kLogical graph. Weights are drawn from a fixed seed.
class GraphForTest {
 public:
  explicit GraphForTest(uint32_t seed = 1) : random_(seed) {}

  graph::TensorIndex Input(Shape shape);
  void Output(graph::TensorIndex tensor);

  /// Any node; `declared` for the operators that need it. CHECKs that the shapes fit.
  graph::TensorIndex Add(graph::Attributes attrs, std::vector<graph::TensorIndex> inputs,
                         graph::WeightSource source = {}, Shape declared = {});
  graph::TensorIndex Quantize(graph::TensorIndex x, graph::Quantization to);
  graph::TensorIndex Dequantize(graph::TensorIndex x, graph::Quantization from);
  /// Fills the next layers' weights with dequantised integers: a scale for all, or one a channel.
  void QuantizeWeight(graph::TensorIndex layer, bool per_channel);
  graph::TensorIndex Conv(graph::TensorIndex x, uint32_t out_channels, graph::Window window = {},
                          uint32_t groups = 1);
  graph::TensorIndex Dense(graph::TensorIndex x, uint32_t outputs);
  graph::TensorIndex Unary(graph::TensorIndex x, graph::ActivationKind kind, float a = 0,
                           float b = 0);
  graph::TensorIndex Binary(graph::BinaryKind kind, graph::TensorIndex a, graph::TensorIndex b);
  /// x kind constant, or constant kind x.
  graph::TensorIndex Constant(graph::BinaryKind kind, graph::TensorIndex x, Shape shape,
                              std::vector<float> values,
                              graph::Operands side = graph::Operands::kConstantRight);
  graph::TensorIndex Scalar(graph::BinaryKind kind, graph::TensorIndex x, float value) {
    return Constant(kind, x, {}, {value});
  }
  graph::TensorIndex Reshape(graph::TensorIndex x, Shape shape);
  graph::TensorIndex Transpose(graph::TensorIndex x, std::vector<uint32_t> perm);
  graph::TensorIndex Mean(graph::TensorIndex x, std::vector<uint32_t> axes);

  graph::Graph& mutable_graph() { return graph_; }
  Shape shape(graph::TensorIndex tensor) const { return graph_.shape(tensor); }
  const graph::Graph& graph() const { return graph_; }
  std::vector<float> Floats(uint64_t count, float low, float high);
  std::mt19937& random() { return random_; }

 private:
  graph::Graph graph_;
  std::mt19937 random_;
};

/// `values` as a constant that owns them.
std::shared_ptr<const graph::Constant> MakeConstant(Shape shape, std::vector<float> values);

/// Random values for every input of the graph.
NamedValues RandomInputs(const graph::Graph& graph, uint32_t seed);

/// A random kLogical graph of about `nodes` nodes; the same for the same seed.
graph::Graph RandomGraph(uint32_t seed, uint32_t nodes);

/// Nodes of one kind.
size_t CountOf(const graph::Graph& graph, graph::OpKind kind);

/// Fails the running test unless both compute the same on random inputs, to float rounding.
void ExpectSameResults(const graph::Graph& before, const graph::Graph& after, uint32_t seed);

}  // namespace coracle::passes

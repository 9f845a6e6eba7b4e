// GraphBuilder: appends nodes to a Stage::kLogical graph, inferring every shape on the way, so that
// an impossible node is refused under its own name, when it is made.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::import {

using ConstantPtr = std::shared_ptr<const graph::Constant>;

/// A float32 constant that owns `values`. Requires: as many values as `shape` has elements.
ConstantPtr MakeFloatConstant(std::string name, const Shape& shape, std::vector<float> values);
/// The same bytes under another shape of as many elements.
ConstantPtr WithShape(const ConstantPtr& constant, const Shape& shape);

/// What a node is made of, but for its name and output.
struct NodeParts {
  graph::Attributes attrs;
  std::vector<graph::TensorIndex> inputs;
  graph::Activation activation = {};
  std::shared_ptr<const graph::WeightSource> source = nullptr;
  /// Reshape, Slice and Resize need it; Pool in ceil mode.
  std::optional<Shape> declared = std::nullopt;
};

class GraphBuilder {
 public:
  /// Errors: kUnsupported past the verifier's limits.
  Result<graph::TensorIndex> AddInput(const std::string& name, const Shape& shape);
  /// Appends a node named after `name` (made unique) and returns its output.
  /// Errors: what graph::InferShape says; kUnsupported past the verifier's limits.
  Result<graph::TensorIndex> Emit(const std::string& name, NodeParts parts);
  /// Makes `tensor` a graph output. A tensor that is a port already is copied first.
  Status AddOutput(const std::string& name, graph::TensorIndex tensor);
  /// The verified graph. The builder is empty afterwards. Errors: what graph::Verify says.
  Result<graph::Graph> Finish();

  const Shape& shape(graph::TensorIndex tensor) const { return graph_.shape(tensor); }

  // Nodes that several importers need. Those that would change nothing return `x` itself.
  Result<graph::TensorIndex> Reshape(const std::string& name, graph::TensorIndex x,
                                     const Shape& shape);
  Result<graph::TensorIndex> Transpose(const std::string& name, graph::TensorIndex x,
                                       std::vector<uint32_t> perm);
  Result<graph::TensorIndex> Slice(const std::string& name, graph::TensorIndex x,
                                   graph::Slice slice, const Shape& result);
  Result<graph::TensorIndex> Activate(const std::string& name, graph::TensorIndex x,
                                      graph::Activation activation);
  Result<graph::TensorIndex> Combine(const std::string& name, graph::BinaryKind kind,
                                     graph::TensorIndex a, graph::TensorIndex b);
  /// x op constant. Requires: `constant` is float32.
  Result<graph::TensorIndex> CombineConstant(const std::string& name, graph::BinaryKind kind,
                                             graph::TensorIndex x, ConstantPtr constant);
  Result<graph::TensorIndex> CombineScalar(const std::string& name, graph::BinaryKind kind,
                                           graph::TensorIndex x, float scalar);
  /// x scale[c] + shift[c] over axis 1.
  Result<graph::TensorIndex> Affine(const std::string& name, graph::TensorIndex x,
                                    std::vector<float> scale, std::vector<float> shift,
                                    graph::Activation activation = {});

 private:
  std::string UniqueName(const std::string& base);
  Status CheckShape(const std::string& name, const Shape& shape) const;

  graph::Graph graph_;
  std::unordered_map<std::string, uint32_t> name_uses_;
  std::vector<bool> is_port_;  // by tensor; shorter than graph_.tensors
};

}  // namespace coracle::import

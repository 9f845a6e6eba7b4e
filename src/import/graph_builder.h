// GraphBuilder: appends nodes to a Stage::kLogical graph, inferring every shape on the way, so that
// an impossible node is refused under its own name, when it is made.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::import {

using ConstantPtr = std::shared_ptr<const graph::Constant>;

/// A float32 constant that owns `values`. Requires: as many values as `shape` has elements.
ConstantPtr MakeFloatConstant(std::string name, const Shape& shape, std::vector<float> values);
/// The same bytes under another shape of as many elements.
ConstantPtr WithShape(const ConstantPtr& constant, const Shape& shape);

/// The integers 0 to 255 of a uint8 tensor, or -128 to 127 of an int8 one, as numbers.
graph::Quantization PlainIntegers(DType element);

/// What a node is made of, but for its name and output.
struct NodeParts {
  graph::Attributes attrs;
  std::vector<graph::TensorIndex> inputs;
  graph::Activation activation = {};
  std::shared_ptr<const graph::WeightSource> source = nullptr;
  /// Reshape, Slice and Resize need it; Pool in ceil mode.
  std::optional<Shape> declared = std::nullopt;
  graph::WeightType weight_type = graph::WeightType::kFloat32;
  graph::IntegerSums integer = {};
  /// As the model's file has the result (GraphBuilder::element), where it does not follow from the
  /// inputs: kUint8, kInt8 or kInt32.
  std::optional<DType> element = std::nullopt;
};

class GraphBuilder {
 public:
  /// Errors: kUnsupported past the verifier's limits.
  Result<graph::TensorIndex> AddInput(const std::string& name, const Shape& shape);
  /// Appends a node named after `name` (made unique) and returns its output.
  /// Errors: what graph::InferShape says; kUnsupported past the verifier's limits.
  Result<graph::TensorIndex> Emit(const std::string& name, NodeParts parts);
  /// Makes `tensor` a graph output. A tensor that is a port already is copied first, one of
  /// integers converted to float32.
  Status AddOutput(const std::string& name, graph::TensorIndex tensor);
  /// The verified graph. The builder is empty afterwards. Errors: what graph::Verify says.
  Result<graph::Graph> Finish();

  const Shape& shape(graph::TensorIndex tensor) const { return graph_.shape(tensor); }
  /// The element type that the model's file gives the tensor: kFloat32; kUint8; kInt8, which is
  /// uint8 inside (128 more); kInt32, which is float32 inside (exact to 2^24).
  DType element(graph::TensorIndex tensor) const { return elements_[Position(tensor)]; }

  /// The constant's 8-bit integers as int8: uint8 has 128 taken from it. Each constant is
  /// converted once. Requires: int8 or uint8.
  ConstantPtr AsInt8(const ConstantPtr& constant);
  /// Notes that the scalar `part` is the scale or the zero point in `range`, a QuantizationRange.
  void NotePartOfRange(graph::TensorIndex part, graph::TensorIndex range);
  /// The range that `part` was taken from, if it was.
  std::optional<graph::TensorIndex> RangeOfPart(graph::TensorIndex part) const;

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
  /// The element of the node's result. Errors: kUnsupported for arithmetic on int32.
  Result<DType> InferElement(const graph::Node& node, const std::optional<DType>& stated) const;

  graph::Graph graph_;
  std::unordered_map<std::string, uint32_t> name_uses_;
  std::vector<bool> is_port_;    // by tensor; shorter than graph_.tensors
  std::vector<DType> elements_;  // by tensor
  std::map<const graph::Constant*, std::pair<ConstantPtr, ConstantPtr>> as_int8_;  // from, to
  std::map<graph::TensorIndex, graph::TensorIndex> ranges_;                        // by part
};

}  // namespace coracle::import

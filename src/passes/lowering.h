// Lowering: builds the kRows graph of a kLogical one, node by node, keeping for every tensor in
// which layout it lies. A logical Transpose then costs nothing, and elements move only where an
// operator cannot take the layout that its operand has. Internal to passes/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "passes/layout.h"

namespace coracle::passes {

/// A logical tensor in the kRows graph.
struct Value {
  graph::TensorIndex physical{};
  Layout layout;
  Shape shape;  ///< logical
  /// {C, H, W} if the tensor is a flattened C,H,W whose elements lie as H,W,C; else rank 0.
  Shape flattened_from;
};

class Lowering {
 public:
  /// `logical` must outlive the lowering.
  explicit Lowering(const graph::Graph& logical);
  /// Errors: kUnsupported naming the node.
  Result<graph::Graph> Run();

 private:
  void LowerInput(const graph::Port& port);
  void LowerOutput(const graph::Port& port);
  Status LowerNode(const graph::Node& node);

  // One for each way in which operators treat layouts.
  Value LowerImage(const graph::Node& node);
  Value LowerDense(const graph::Node& node);
  Value LowerMatMul(const graph::Node& node);
  Value LowerLastAxis(const graph::Node& node, uint32_t axis);
  /// All operands (but a range) and the result in `layout`.
  Value LowerSequence(const graph::Node& node, const Layout& layout);
  Value LowerAttention(const graph::Node& node);
  Value LowerUnary(const graph::Node& node);
  /// Quantize, Dequantize: constant parameters, or a range.
  Value LowerByRange(const graph::Node& node);
  /// Becomes RowExtremes and QuantizationRange.
  Value LowerRange(const graph::Node& node);
  Value LowerQuantizedAdd(const graph::Node& node);
  Value LowerBinary(const graph::Node& node);
  Value LowerBinaryConstant(const graph::Node& node);
  Value LowerConcat(const graph::Node& node);
  Value LowerSlice(const graph::Node& node);
  Value LowerPad(const graph::Node& node);
  Value LowerTranspose(const graph::Node& node);
  Value LowerReshape(const graph::Node& node);
  Value LowerReduce(const graph::Node& node);

  /// The value of one of the node's operands.
  const Value& Operand(const graph::Node& node, size_t operand) const;
  /// `value` in `layout`: itself, or the result of a Reshape or Transpose that is emitted here.
  graph::TensorIndex InLayout(const Value& value, const Layout& layout);
  /// The node's second operand, a range [N,1,2].
  graph::TensorIndex RangeOperand(const graph::Node& node);
  /// `value` with axes of 1 put before its own until it has `rank`.
  Value WithRank(const Value& value, uint32_t rank);
  /// The value under another logical shape with the same elements in the same order.
  Value Reshaped(const Value& value, const Shape& shape, const Layout& layout,
                 const std::string& name);

  /// Appends a node like `node` (name, activation, residual, source) with these attributes and
  /// operands, computing node.output in `layout`.
  Value Emit(const graph::Node& node, graph::Attributes attrs,
             std::vector<graph::TensorIndex> inputs, const Layout& layout);
  /// Appends a plain node and its tensor.
  graph::TensorIndex EmitPlain(const std::string& name, graph::Attributes attrs,
                               graph::TensorIndex input, const Shape& shape);

  /// True if every use of `tensor` is as a Dense's first operand.
  bool FeedsOnlyDense(graph::TensorIndex tensor) const;
  /// The layout in which a graph input arrives.
  Layout InputLayout(const graph::Port& port) const;

  const graph::Graph& logical_;
  graph::Graph rows_;
  std::vector<Value> values_;                          // by logical tensor
  std::vector<std::vector<const graph::Node*>> uses_;  // by logical tensor
  std::vector<bool> is_output_;                        // by logical tensor
};

/// `layout` with logical axis 0 first, for a tensor of rank 3 and more (RowsOf).
Layout ImagesFirst(const Layout& layout);

/// The constant's elements in the order that `layout` gives them. Shares the bytes if it is the
/// order that they have.
std::shared_ptr<const graph::Constant> Permuted(const graph::Constant& constant, const Shape& shape,
                                                const Layout& layout);

}  // namespace coracle::passes

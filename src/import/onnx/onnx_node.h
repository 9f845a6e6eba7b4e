// OnnxNode: one node of an ONNX graph with its inputs resolved, and typed access to both.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "import/onnx/value.h"

namespace coracle::import {

/// Borrows the protobuf node. Every error that it makes starts with the operator and node name.
class OnnxNode {
 public:
  OnnxNode(const onnx::NodeProto& proto, int64_t opset, std::vector<std::optional<Value>> inputs)
      : proto_(proto), opset_(opset), inputs_(std::move(inputs)) {}

  const onnx::NodeProto& proto() const { return proto_; }
  int64_t opset() const { return opset_; }
  /// The node's name, or its first output's where it has none.
  const std::string& name() const;

  // Inputs. An optional one that is left out counts, but is not given.
  size_t input_count() const { return inputs_.size(); }
  bool HasInput(size_t i) const { return i < inputs_.size() && inputs_[i].has_value(); }
  bool AllInputsConstant() const;
  /// Errors: kMalformed if it is not given.
  Result<Value> Input(size_t i) const;
  /// Errors: kUnsupported if it is a constant.
  Result<graph::TensorIndex> Tensor(size_t i) const;
  /// Errors: kUnsupported if the network computes it.
  Result<ConstantPtr> Constant(size_t i) const;
  /// The same, converted to float32 if it is not.
  Result<ConstantPtr> FloatConstant(size_t i) const;
  Result<std::vector<int64_t>> Integers(size_t i) const;
  Result<std::vector<float>> Floats(size_t i) const;

  // Attributes. Errors: kMalformed for another type than asked for.
  bool Has(std::string_view attribute) const { return Find(attribute) != nullptr; }
  Result<int64_t> Int(std::string_view attribute, int64_t otherwise) const;
  Result<float> Float(std::string_view attribute, float otherwise) const;
  Result<std::string> String(std::string_view attribute, std::string_view otherwise) const;
  /// Empty if the attribute is not there.
  Result<std::vector<int64_t>> Ints(std::string_view attribute) const;
  Result<const onnx::GraphProto*> Subgraph(std::string_view attribute) const;
  const onnx::AttributeProto* Find(std::string_view attribute) const;

  /// The attribute (older operator sets) or else input `i` (newer ones) as integers; empty if
  /// neither.
  Result<std::vector<int64_t>> IntsOrInput(std::string_view attribute, size_t i) const;

  Error Malformed(std::string_view what) const;
  Error Unsupported(std::string_view what) const;
  /// "Conv 'conv1'".
  std::string Where() const;

 private:
  Error WrongType(std::string_view attribute) const;
  std::string InputName(size_t i) const;

  const onnx::NodeProto& proto_;
  int64_t opset_;
  std::vector<std::optional<Value>> inputs_;
};

}  // namespace coracle::import

#include <algorithm>

#include "graph/infer.h"
#include "graph/verify_node.h"

namespace coracle::graph {
namespace {

/// How many of the first inputs must be uint8; the others must be float32.
size_t QuantizedInputs(const Node& node) {
  if (node.kind() == OpKind::kQuantizedAdd) return 2;
  return node.kind() == OpKind::kDequantize || node.weight_type == WeightType::kDot8 ? 1 : 0;
}

Error DTypeError(const Node& node, std::string_view what) {
  return Error{Code::kInvalidArgument, NodeError(node, what).message};
}

}  // namespace

bool PassesThrough(const Node& node) {
  switch (node.kind()) {
    case OpKind::kConcat:
    case OpKind::kSlice:
    case OpKind::kTranspose:
    case OpKind::kReshape:
    case OpKind::kPad:
      return true;
    case OpKind::kPool:
      return std::get<Pool>(node.attrs).kind == PoolKind::kMax;
    case OpKind::kResize:
      return std::get<Resize>(node.attrs).mode == ResizeMode::kNearest;
    default:
      return false;
  }
}

Result<DType> InferDType(const Node& node, std::span<const DType> inputs, DType declared) {
  if (PassesThrough(node) && !inputs.empty()) {
    const bool alike =
        std::all_of(inputs.begin(), inputs.end(), [&](DType dtype) { return dtype == inputs[0]; });
    if (!alike) return DTypeError(node, "its inputs differ in type");
    return inputs[0];
  }
  const size_t quantized = QuantizedInputs(node);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DType expected = i < quantized ? DType::kUint8 : DType::kFloat32;
    if (inputs[i] == expected) continue;
    return DTypeError(node, expected == DType::kUint8 ? "needs a quantised input (uint8)"
                                                      : "takes no quantised input (uint8)");
  }
  if (node.kind() == OpKind::kQuantize || node.kind() == OpKind::kQuantizedAdd) {
    return DType::kUint8;
  }
  if (node.weight_type != WeightType::kDot8) return DType::kFloat32;
  if (declared != DType::kUint8 && declared != DType::kFloat32) {
    return DTypeError(node, "gives neither uint8 nor float32");
  }
  return declared;
}

}  // namespace coracle::graph

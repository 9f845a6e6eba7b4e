// Value: what a name in an ONNX graph stands for while it is imported.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "import/graph_builder.h"

namespace coracle::import {

/// A constant that is known now, or an activation that the network will compute.
struct Value {
  ConstantPtr constant;  ///< null for an activation
  graph::TensorIndex tensor = NoIndex<graph::TensorIndex>();
  Shape shape;

  bool is_constant() const { return constant != nullptr; }
  static Value Of(ConstantPtr constant) {
    Value value;
    value.shape = constant->shape;
    value.constant = std::move(constant);
    return value;
  }
  static Value Of(graph::TensorIndex tensor, const Shape& shape) {
    Value value;
    value.tensor = tensor;
    value.shape = shape;
    return value;
  }
};

/// Most elements that any constant may have; dimensions of 0 count as 1, so that no part of a shape
/// can overflow.
inline constexpr uint64_t kConstantElementsMax = uint64_t{1} << 40;
/// Errors: kUnsupported past kConstantElementsMax.
Status CheckElementCount(const Shape& shape, std::string_view what);

/// A Shape of `dims`. Errors: kMalformed for a negative dimension, kUnsupported past kMaxRank,
/// 2^31 - 1 or kConstantElementsMax; all naming `what`.
Result<Shape> ToShape(std::span<const int64_t> dims, std::string_view what);

/// `axis` of a tensor of `rank`, negative counting from the end. Errors: kMalformed out of range.
Result<uint32_t> ResolveAxis(int64_t axis, uint32_t rank, std::string_view what);
/// Every axis resolved, ascending, none twice.
Result<std::vector<uint32_t>> ResolveAxes(std::span<const int64_t> axes, uint32_t rank,
                                          std::string_view what);

}  // namespace coracle::import

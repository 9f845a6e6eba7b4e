// What ONNX's layout operators (Reshape, Slice, Transpose, ...) mean for a given input shape.
// Shared by constant folding and by emission.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "import/onnx/onnx_node.h"

namespace coracle::import {

/// The output shape of Reshape, Flatten, Squeeze or Unsqueeze on `in`. Errors: kMalformed.
Result<Shape> ReshapeTarget(const OnnxNode& node, const Shape& in);

Result<std::vector<uint32_t>> TransposePerm(const OnnxNode& node, uint32_t rank);

/// A Slice resolved: element i of an axis is input element start + i * step.
struct SliceRange {
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;
  Shape result;  ///< a dimension is 0 where the slice is empty
};
Result<SliceRange> ResolveSlice(const OnnxNode& node, const Shape& in);
/// The whole of `in`, to be narrowed axis by axis.
SliceRange WholeRange(const Shape& in);

/// The pieces of a Split along its axis.
struct SplitPieces {
  uint32_t axis = 0;
  std::vector<uint32_t> sizes;
};
Result<SplitPieces> ResolveSplit(const OnnxNode& node, const Shape& in);

/// The shape that Expand broadcasts `in` to.
Result<Shape> ExpandTarget(const OnnxNode& node, const Shape& in);
/// numpy's broadcast of two shapes. Errors: kMalformed.
Result<Shape> Broadcast(const OnnxNode& node, const Shape& a, const Shape& b);

/// Resolved reduction axes: from the attribute or input 1; all if there are none.
struct ReduceAxes {
  std::vector<uint32_t> axes;
  Shape kept;     ///< result with the reduced axes as 1
  Shape dropped;  ///< result as the node has it (keepdims)
};
Result<ReduceAxes> ResolveReduce(const OnnxNode& node, const Shape& in);

}  // namespace coracle::import

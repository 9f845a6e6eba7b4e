// Constant folding: ONNX operators whose inputs are all known are evaluated while importing. Each
// function is one operator, or a family that differs by its rule; onnx/operators.cc is the table.
//
// Integers wrap as int64 does; floats are computed as doubles and rounded once to their type.
#pragma once

#include <vector>

#include "base/result.h"
#include "import/onnx/array.h"
#include "import/onnx/onnx_node.h"

namespace coracle::import {

using FoldResult = Result<ConstantPtr>;

// fold_elementwise.cc
FoldResult FoldArithmetic(const OnnxNode& node, FoldBudget& budget);  ///< Add ... Pow, Min, Sum
FoldResult FoldComparison(const OnnxNode& node, FoldBudget& budget);  ///< Equal ... And, Or, Xor
FoldResult FoldUnary(const OnnxNode& node, FoldBudget& budget);       ///< Neg, Sqrt, Not, ...
FoldResult FoldWhere(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldCast(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldClip(const OnnxNode& node, FoldBudget& budget);

// fold_layout.cc
FoldResult FoldIdentity(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldReshape(const OnnxNode& node, FoldBudget& budget);  ///< Flatten, (Un)Squeeze too
FoldResult FoldTranspose(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldSlice(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldGather(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldConcat(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldExpand(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldTile(const OnnxNode& node, FoldBudget& budget);
Result<std::vector<ConstantPtr>> FoldSplit(const OnnxNode& node, FoldBudget& budget);

// fold_reduce.cc
FoldResult FoldReduce(const OnnxNode& node, FoldBudget& budget);  ///< ReduceSum, Prod, ...
FoldResult FoldConstantOfShape(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldRange(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldNonZero(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldMatMul(const OnnxNode& node, FoldBudget& budget);

// emit_quantize.cc
FoldResult FoldQuantizeLinear(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldDequantizeLinear(const OnnxNode& node, FoldBudget& budget);

/// Shape and Size: constant whatever the input is.
FoldResult FoldShape(const OnnxNode& node, FoldBudget& budget);
FoldResult FoldSize(const OnnxNode& node, FoldBudget& budget);

}  // namespace coracle::import

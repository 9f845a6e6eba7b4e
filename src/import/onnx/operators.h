// The table of ONNX operators that are understood, and what does the work for each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "import/onnx/emit.h"
#include "import/onnx/fold.h"

namespace coracle::import {

/// How one operator is imported. A pointer that is null: not in that way.
struct OnnxOperator {
  EmitResult (*emit)(const OnnxNode&, GraphBuilder&) = nullptr;
  FoldResult (*fold)(const OnnxNode&, FoldBudget&) = nullptr;
  /// Operators with several outputs.
  Result<std::vector<graph::TensorIndex>> (*emit_many)(const OnnxNode&, GraphBuilder&) = nullptr;
  Result<std::vector<ConstantPtr>> (*fold_many)(const OnnxNode&, FoldBudget&) = nullptr;
  /// Constant although its input may not be: Shape, Size.
  bool always_folds = false;
};

/// Null: not understood. Constant, If and Loop are onnx/walker.h's own.
const OnnxOperator* FindOnnxOperator(std::string_view type);
/// All names in the table, sorted.
std::vector<std::string_view> OnnxOperatorNames();

}  // namespace coracle::import

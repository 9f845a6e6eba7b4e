#include "import/onnx/operators.h"

#include <map>

namespace coracle::import {
namespace {

using Table = std::map<std::string_view, OnnxOperator>;

constexpr OnnxOperator Emitted(EmitResult (*emit)(const OnnxNode&, GraphBuilder&)) {
  return {.emit = emit};
}
constexpr OnnxOperator Folded(FoldResult (*fold)(const OnnxNode&, FoldBudget&)) {
  return {.fold = fold};
}
constexpr OnnxOperator Both(EmitResult (*emit)(const OnnxNode&, GraphBuilder&),
                            FoldResult (*fold)(const OnnxNode&, FoldBudget&)) {
  return {.emit = emit, .fold = fold};
}
constexpr OnnxOperator Always(FoldResult (*fold)(const OnnxNode&, FoldBudget&)) {
  return {.fold = fold, .always_folds = true};
}

void AddLayers(Table& table) {
  table["Conv"] = Emitted(EmitConv);
  table["ConvTranspose"] = Emitted(EmitConvTranspose);
  table["MatMul"] = Both(EmitMatMul, FoldMatMul);
  table["Gemm"] = Emitted(EmitGemm);
  for (const auto* name : {"MaxPool", "AveragePool"}) table[name] = Emitted(EmitPool);
  for (const auto* name : {"GlobalAveragePool", "GlobalMaxPool"}) {
    table[name] = Emitted(EmitGlobalPool);
  }
  table["BatchNormalization"] = Emitted(EmitBatchNormalization);
  table["InstanceNormalization"] = Emitted(EmitInstanceNormalization);
  table["LayerNormalization"] = Emitted(EmitLayerNormalization);
  for (const auto* name : {"Softmax", "LogSoftmax"}) table[name] = Emitted(EmitSoftmax);
  for (const auto* name : {"Resize", "Upsample"}) table[name] = Emitted(EmitResize);
  for (const auto* name : {"LSTM", "GRU", "RNN"}) table[name] = {.emit_many = EmitRecurrent};
  for (const auto* name : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"}) {
    table[name] = Both(EmitReduce, FoldReduce);
  }
  for (const auto* name : {"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"}) {
    table[name] = Emitted(EmitReduce);
  }
  table["ReduceProd"] = Folded(FoldReduce);
}

void AddElementwise(Table& table) {
  for (const auto* name : {"Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Erf", "Abs", "Neg",
                           "Reciprocal", "Log", "Floor", "Ceil"}) {
    table[name] = Both(EmitUnary, FoldUnary);
  }
  for (const auto* name : {"LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Softplus", "Mish"}) {
    table[name] = Emitted(EmitUnary);
  }
  for (const auto* name : {"Not", "Sign", "Round"}) table[name] = Folded(FoldUnary);
  for (const auto* name : {"Add", "Sub", "Mul", "Div", "Pow"}) {
    table[name] = Both(EmitBinary, FoldArithmetic);
  }
  for (const auto* name : {"Min", "Max", "Sum"}) table[name] = Both(EmitVariadic, FoldArithmetic);
  table["Mean"] = Emitted(EmitVariadic);
  table["Mod"] = Folded(FoldArithmetic);
  for (const auto* name :
       {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"}) {
    table[name] = Folded(FoldComparison);
  }
  table["Where"] = Folded(FoldWhere);
  table["Clip"] = Both(EmitClip, FoldClip);
  table["Cast"] = Both(EmitCast, FoldCast);
  table["PRelu"] = Emitted(EmitPRelu);
  table["Identity"] = Both(EmitIdentity, FoldIdentity);
  table["Dropout"] = Both(EmitDropout, FoldIdentity);
}

void AddLayout(Table& table) {
  for (const auto* name : {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}) {
    table[name] = Both(EmitReshape, FoldReshape);
  }
  table["Transpose"] = Both(EmitTranspose, FoldTranspose);
  table["Concat"] = Both(EmitConcat, FoldConcat);
  table["Slice"] = Both(EmitSlice, FoldSlice);
  table["Gather"] = Both(EmitGather, FoldGather);
  table["Expand"] = Both(EmitExpand, FoldExpand);
  table["Tile"] = Both(EmitTile, FoldTile);
  table["Pad"] = Emitted(EmitPad);
  table["DepthToSpace"] = Emitted(EmitDepthToSpace);
  table["SpaceToDepth"] = Emitted(EmitSpaceToDepth);
  table["Split"] = {.emit_many = EmitSplit, .fold_many = FoldSplit};
  table["ConstantOfShape"] = Folded(FoldConstantOfShape);
  table["Range"] = Folded(FoldRange);
  table["NonZero"] = Folded(FoldNonZero);
  table["Shape"] = Always(FoldShape);
  table["Size"] = Always(FoldSize);
}

void AddQuantized(Table& table) {
  for (const auto* name : {"QuantizeLinear", "com.microsoft.QuantizeLinear"}) {
    table[name] = Both(EmitQuantizeLinear, FoldQuantizeLinear);
  }
  for (const auto* name : {"DequantizeLinear", "com.microsoft.DequantizeLinear"}) {
    table[name] = Both(EmitDequantizeLinear, FoldDequantizeLinear);
  }
  table["DynamicQuantizeLinear"] = {.emit_many = EmitDynamicQuantizeLinear};
  table["QLinearConv"] = Emitted(EmitQLinearConv);
  table["QLinearMatMul"] = Emitted(EmitQLinearMatMul);
  table["ConvInteger"] = Emitted(EmitConvInteger);
  table["MatMulInteger"] = Emitted(EmitMatMulInteger);
  for (const auto* name : {"com.microsoft.QLinearAdd", "com.microsoft.QLinearMul"}) {
    table[name] = Emitted(EmitQuantizedBinary);
  }
  table["com.microsoft.QLinearGlobalAveragePool"] = Emitted(EmitQuantizedGlobalAveragePool);
}

const Table& Operators() {
  static const Table kTable = [] {
    Table table;
    AddLayers(table);
    AddElementwise(table);
    AddLayout(table);
    AddQuantized(table);
    return table;
  }();
  return kTable;
}

}  // namespace

const OnnxOperator* FindOnnxOperator(std::string_view type) {
  const auto found = Operators().find(type);
  return found == Operators().end() ? nullptr : &found->second;
}

std::vector<std::string_view> OnnxOperatorNames() {
  std::vector<std::string_view> names;
  for (const auto& [name, entry] : Operators()) names.push_back(name);
  return names;
}

}  // namespace coracle::import

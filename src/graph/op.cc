#include "graph/op.h"

#include "base/check.h"

namespace coracle::graph {

std::string_view OpName(OpKind kind) {
  static constexpr std::array<std::string_view, kOpKindCount> kNames = {
      "Conv",          "ConvTranspose", "Dense",     "MatMul",   "Pool",       "Reduce",
      "LayerNorm",     "Affine",        "Unary",     "Binary",   "Softmax",    "Resize",
      "Concat",        "Slice",         "Transpose", "Reshape",  "Pad",        "Reorg",
      "DetectionHead", "Recurrence",    "Attention", "Quantize", "Dequantize", "QuantizationRange",
      "QuantizedAdd",  "RowExtremes"};
  const auto position = static_cast<size_t>(kind);
  CORACLE_CHECK(position < kNames.size());
  return kNames[position];
}

std::string_view AlgorithmName(ConvAlgorithm algorithm) {
  static constexpr std::array<std::string_view, kConvAlgorithmCount> kNames = {
      "direct", "winograd2", "winograd4"};
  const auto position = static_cast<size_t>(algorithm);
  CORACLE_CHECK(position < kNames.size());
  return kNames[position];
}

uint32_t GateCount(CellKind cell) {
  switch (cell) {
    case CellKind::kElman:
      return 1;
    case CellKind::kGru:
    case CellKind::kGruResetAfter:
      return 3;
    case CellKind::kLstm:
      break;
  }
  return 4;
}

uint32_t StateChannels(const Recurrence& recurrence) {
  return recurrence.cell == CellKind::kLstm ? 2 * recurrence.hidden : recurrence.hidden;
}

bool AllowsActivation(OpKind kind) {
  switch (kind) {
    case OpKind::kConv:
    case OpKind::kConvTranspose:
    case OpKind::kDense:
    case OpKind::kAffine:
    case OpKind::kUnary:
    case OpKind::kBinary:
    case OpKind::kQuantizedAdd:
      return true;
    default:
      return false;
  }
}

bool AllowsResidual(OpKind kind) {
  return kind == OpKind::kConv || kind == OpKind::kConvTranspose || kind == OpKind::kDense;
}

}  // namespace coracle::graph

#include "kernels/kernel.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/attention.h"
#include "kernels/index_map.h"
#include "kernels/packing.h"
#include "kernels/panel_workspace.h"
#include "kernels/recurrence.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/winograd.h"

namespace coracle::kernels {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;

/// Multiply-adds of a ConvTranspose: every input pixel meets every tap (edges included).
uint64_t TransposedMultiplyAdds(const Shape& in, const graph::ConvTranspose& conv) {
  const uint64_t taps = uint64_t{conv.window.kernel_h} * conv.window.kernel_w;
  return in.Elements() * taps * (conv.out_channels / conv.groups);
}

bool SpreadsOverChannelsOnly(const Shape& constant) {
  for (uint32_t axis = 0; axis + 1 < constant.rank(); ++axis) {
    if (constant[axis] != 1) return false;
  }
  return true;
}

bool BinaryPerImage(const Graph& graph, const Node& node, const graph::Binary& binary) {
  const Shape& out = graph.shape(node.output);
  if (graph.shape(node.inputs[0]) != out) return false;
  if (binary.operands == graph::Operands::kTensors) return graph.shape(node.inputs[1]) == out;
  return SpreadsOverChannelsOnly(binary.constant_shape);
}

}  // namespace

bool PerImage(const Graph& graph, const Node& node) {
  switch (node.kind()) {
    case OpKind::kMatMul:
    case OpKind::kConcat:
    case OpKind::kSlice:
    case OpKind::kTranspose:
    case OpKind::kReshape:
    case OpKind::kPad:
      return false;
    case OpKind::kReduce: {
      const auto& axes = std::get<graph::Reduce>(node.attrs).axes;
      return axes.back() + 1 != graph.shape(node.inputs[0]).rank();
    }
    case OpKind::kBinary:
      return BinaryPerImage(graph, node, std::get<graph::Binary>(node.attrs));
    default:
      return true;
  }
}

PanelKernel PanelKernelOf(const KernelSet& set, const Graph& graph, const Node& node) {
  if (node.weight_type == graph::WeightType::kDot8) {
    return graph::IsDepthwise(graph, node) ? set.integer_depthwise : set.integer_panels;
  }
  switch (node.kind()) {
    case OpKind::kConv:
      if (IsWinograd(node)) return set.winograd;
      return graph::IsDepthwise(graph, node) ? set.depthwise : set.panels;
    case OpKind::kConvTranspose:
    case OpKind::kDense:
      return set.panels;
    default:
      return nullptr;
  }
}

bool CarriesRows(const Node& node) { return node.kind() == OpKind::kRecurrence; }

uint32_t RowGranule(const Node& node) { return WinogradOutputs(node); }

uint64_t WorkspaceBytes(const Graph& graph, const Node& node) {
  if (IsWinograd(node)) return WinogradWorkspaceBytes(graph, node);
  if (node.kind() == OpKind::kRecurrence) return RecurrenceWorkspaceBytes(node);
  if (node.kind() == OpKind::kAttention) return AttentionWorkspaceBytes(graph, node);
  if (node.kind() != OpKind::kMatMul) return PanelWorkspaceBytes(graph, node);
  // Columns of B beside each other (whole vectors of up to 16 floats) and rows of K.
  const uint64_t columns = std::min(graph.shape(node.output).Back(0), kMatMulColumnsMax);
  const uint64_t depth = std::min(graph.shape(node.inputs[0]).Back(0), kMatMulDepthMax);
  return RoundUp(columns, kPanelGranule) * depth * sizeof(float);
}

bool InPlaceAllowed(const Graph& graph, const Node& node, uint32_t operand) {
  if (operand >= node.inputs.size() ||
      graph.tensor(node.inputs[operand]).dtype != graph.tensor(node.output).dtype) {
    return false;
  }
  switch (node.kind()) {
    case OpKind::kUnary:
    case OpKind::kAffine:
    case OpKind::kSoftmax:
    case OpKind::kLayerNorm:
    case OpKind::kDetectionHead:
      return operand == 0;
    case OpKind::kBinary:
    case OpKind::kQuantizedAdd:
      return graph.shape(node.inputs[operand]) == graph.shape(node.output);
    case OpKind::kConv:
    case OpKind::kConvTranspose:
    case OpKind::kDense:
      return node.residual != graph::Residual::kNone && operand + 1 == node.inputs.size() &&
             !node.weights.SplitsK() && !PanelsSplitWindows(graph, node);
    default:
      return false;
  }
}

uint64_t MultiplyAdds(const Graph& graph, const Node& node) {
  const Shape& in = graph.shape(node.inputs[0]);
  const uint64_t out_elements = graph.shape(node.output).Elements();
  switch (node.kind()) {
    case OpKind::kConv: {
      const auto& conv = std::get<graph::Conv>(node.attrs);
      const uint64_t taps = uint64_t{conv.window.kernel_h} * conv.window.kernel_w;
      return out_elements * taps * (in.Back(0) / conv.groups);
    }
    case OpKind::kConvTranspose:
      return TransposedMultiplyAdds(in, std::get<graph::ConvTranspose>(node.attrs));
    case OpKind::kDense:
    case OpKind::kMatMul:
      return out_elements * in.Back(0);
    case OpKind::kRecurrence: {
      const auto& recurrence = std::get<graph::Recurrence>(node.attrs);
      return in.Elements() * recurrence.hidden;
    }
    case OpKind::kAttention: {
      const uint64_t tokens = graph.shape(node.inputs[1])[1];
      return (in.Elements() + out_elements) * tokens;
    }
    case OpKind::kPool: {
      const auto& pool = std::get<graph::Pool>(node.attrs);
      return out_elements * pool.window.kernel_h * pool.window.kernel_w;
    }
    case OpKind::kReduce:
    case OpKind::kRowExtremes:
    case OpKind::kQuantizationRange:
      return in.Elements();
    case OpKind::kResize:
      return std::get<graph::Resize>(node.attrs).mode == graph::ResizeMode::kLinear
                 ? 4 * out_elements
                 : out_elements;
    default:
      return out_elements;
  }
}

}  // namespace coracle::kernels

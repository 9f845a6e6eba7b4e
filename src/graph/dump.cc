#include "graph/dump.h"

#include <fmt/format.h>

namespace coracle::graph {
namespace {

template <typename Range>
std::string Join(const Range& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

std::string WindowText(const Window& w) {
  std::string text = fmt::format(" {}x{}", w.kernel_h, w.kernel_w);
  if (w.stride_h == w.stride_w) {
    if (w.stride_h != 1) text += fmt::format("/{}", w.stride_h);
  } else {
    text += fmt::format("/{}x{}", w.stride_h, w.stride_w);
  }
  if (w.dilation_h != 1 || w.dilation_w != 1) {
    text += fmt::format(" d{}x{}", w.dilation_h, w.dilation_w);
  }
  const bool even =
      w.pad_top == w.pad_left && w.pad_top == w.pad_bottom && w.pad_top == w.pad_right;
  if (!even)
    return text + fmt::format(" p{},{},{},{}", w.pad_top, w.pad_left, w.pad_bottom, w.pad_right);
  return w.pad_top == 0 ? text : text + fmt::format(" p{}", w.pad_top);
}

std::string GroupText(uint32_t groups) { return groups == 1 ? "" : fmt::format(" g{}", groups); }

std::string Text(const Conv& conv) {
  const std::string text = WindowText(conv.window) + GroupText(conv.groups);
  if (conv.algorithm == ConvAlgorithm::kDirect) return text;
  return text + fmt::format(" {}", AlgorithmName(conv.algorithm));
}
std::string Text(const ConvTranspose& conv) {
  std::string text = WindowText(conv.window) + GroupText(conv.groups);
  if (conv.output_pad_h == 0 && conv.output_pad_w == 0) return text;
  return text + fmt::format(" op{}x{}", conv.output_pad_h, conv.output_pad_w);
}
std::string Text(const Dense&) { return ""; }
std::string Text(const MatMul& matmul) {
  std::string text = matmul.transpose_b == TransposeB::kYes ? " bT" : "";
  return matmul.scale == 1 ? text : text + fmt::format(" *{}", matmul.scale);
}
std::string Text(const Pool& pool) {
  std::string text = pool.kind == PoolKind::kMax ? " max" : " avg";
  text += WindowText(pool.window);
  return pool.counting == PadCounting::kIncludePad ? text + " include_pad" : text;
}
std::string Text(const Reduce& reduce) {
  static constexpr std::array<std::string_view, 4> kNames = {"mean", "sum", "max", "min"};
  return fmt::format(" {}[{}]", kNames.at(static_cast<size_t>(reduce.kind)), Join(reduce.axes));
}
std::string Text(const LayerNorm& norm) { return fmt::format(" eps={}", norm.epsilon); }
std::string Text(const Affine&) { return ""; }
std::string Text(const Unary&) { return ""; }
std::string Text(const Binary& binary) {
  static constexpr std::array<std::string_view, 7> kNames = {"add", "sub", "mul", "div",
                                                             "pow", "max", "min"};
  std::string text = fmt::format(" {}", kNames.at(static_cast<size_t>(binary.kind)));
  if (binary.operands == Operands::kTensors) return text;
  const bool left = binary.operands == Operands::kConstantLeft;
  return text + fmt::format(" const[{}]{}", binary.constant_shape.ToString(), left ? " left" : "");
}
std::string Text(const Softmax& softmax) { return fmt::format(" axis={}", softmax.axis); }
std::string Text(const Resize& resize) {
  static constexpr std::array<std::string_view, 4> kNames = {"asymmetric", "half_pixel",
                                                             "pytorch_half_pixel", "align_corners"};
  return fmt::format(" {} {} x{},{}", resize.mode == ResizeMode::kNearest ? "nearest" : "linear",
                     kNames.at(static_cast<size_t>(resize.coordinates)), resize.scale_h,
                     resize.scale_w);
}
std::string Text(const Concat& concat) { return fmt::format(" axis={}", concat.axis); }
std::string Text(const Slice& slice) {
  return fmt::format(" from[{}] step[{}]", Join(slice.starts), Join(slice.steps));
}
std::string Text(const Transpose& transpose) { return fmt::format(" [{}]", Join(transpose.perm)); }
std::string Text(const Reshape&) { return ""; }
std::string Text(const Pad& pad) {
  static constexpr std::array<std::string_view, 3> kNames = {"constant", "reflect", "edge"};
  return fmt::format(" {} [{}][{}]", kNames.at(static_cast<size_t>(pad.mode)), Join(pad.before),
                     Join(pad.after));
}
std::string Text(const Reorg& reorg) { return fmt::format(" /{}", reorg.stride); }
std::string Text(const DetectionHead& head) {
  return fmt::format(" {} boxes={} classes={}",
                     head.kind == DetectionHeadKind::kYolo ? "yolo" : "region", head.boxes,
                     head.classes);
}
std::string Text(const Recurrence& recurrence) {
  static constexpr std::array<std::string_view, 4> kCells = {"elman", "gru", "gru_reset_after",
                                                             "lstm"};
  static constexpr std::array<std::string_view, 3> kStates = {"", " from_constant",
                                                              " from_tensors"};
  std::string text =
      fmt::format(" {} {}", kCells.at(static_cast<size_t>(recurrence.cell)), recurrence.hidden);
  if (recurrence.order == TimeOrder::kBackward) text += " backward";
  text += kStates.at(static_cast<size_t>(recurrence.initial));
  return recurrence.clip > 0 ? text + fmt::format(" clip={}", recurrence.clip) : text;
}
std::string Text(const Attention& attention) {
  std::string text = fmt::format(" *{}", attention.scale);
  if (attention.mask == AttentionMask::kTensor) text += " masked";
  if (attention.mask == AttentionMask::kConstant) {
    text += fmt::format(" mask[{}]", attention.mask_shape.ToString());
  }
  return text;
}

std::string QuantizationText(const Quantization& q, QuantizationSource source) {
  return source == QuantizationSource::kTensor ? " by range"
                                               : fmt::format(" *{} zero={}", q.scale, q.zero);
}
std::string Text(const Quantize& quantize) {
  return QuantizationText(quantize.out, quantize.source);
}
std::string Text(const Dequantize& dequantize) {
  return QuantizationText(dequantize.in, dequantize.source);
}
std::string Text(const QuantizationRange&) { return ""; }
std::string Text(const RowExtremes&) { return ""; }
std::string Text(const QuantizedAdd& add) {
  constexpr auto kConstant = QuantizationSource::kConstant;
  return QuantizationText(add.a, kConstant) + " +" + QuantizationText(add.b, kConstant) + " ->" +
         QuantizationText(add.out, kConstant);
}

std::string WeightTypeText(const Graph& graph, const Node& node) {
  if (node.weight_type == WeightType::kFloat32) return "";
  std::string text = fmt::format(" {}", WeightTypeName(node.weight_type));
  if (node.weight_type != WeightType::kDot8) return text;
  text += node.integer.in_source == QuantizationSource::kTensor
              ? " by range"
              : fmt::format(" in_zero={}", node.integer.in_zero);
  if (graph.tensor(node.output).dtype != DType::kUint8) return text;
  return text + " ->" + QuantizationText(node.integer.out, QuantizationSource::kConstant);
}

std::string ActivationText(const Activation& activation) {
  switch (activation.kind) {
    case ActivationKind::kNone:
      return "";
    case ActivationKind::kLeakyRelu:
    case ActivationKind::kSwish:
    case ActivationKind::kElu:
      return fmt::format(" {}({})", ActivationName(activation.kind), activation.a);
    case ActivationKind::kClip:
    case ActivationKind::kHardSigmoid:
    case ActivationKind::kHardSwish:
      return fmt::format(" {}({},{})", ActivationName(activation.kind), activation.a, activation.b);
    default:
      return fmt::format(" {}", ActivationName(activation.kind));
  }
}

std::string PortText(const Graph& graph, std::string_view what, const Port& port) {
  std::string text =
      fmt::format("{} %{} {}: {}", what, Position(port.tensor), port.name, port.shape.ToString());
  if (graph.stage == Stage::kRows) {
    text += fmt::format(" as {} [{}]", graph.shape(port.tensor).ToString(), Join(port.perm));
  }
  return text;
}

}  // namespace

std::string DumpNode(const Graph& graph, const Node& node) {
  std::string text =
      fmt::format("%{} {} = {}(", Position(node.output), node.name, OpName(node.kind()));
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const bool residual = node.residual != Residual::kNone && i + 1 == node.inputs.size();
    text += fmt::format("{}{}%{} {}", i == 0 ? "" : ", ", residual ? "+ " : "",
                        Position(node.inputs[i]), graph.tensor(node.inputs[i]).name);
  }
  text += ')';
  text += std::visit([](const auto& attrs) { return Text(attrs); }, node.attrs);
  text += WeightTypeText(graph, node);
  const std::string_view residual = node.residual == Residual::kNone ? "" : " +residual";
  if (node.residual != Residual::kAfterActivation) text += residual;
  text += ActivationText(node.activation);
  if (node.residual == Residual::kAfterActivation) text += residual;
  if (node.source != nullptr && node.source->flattened_from.rank() != 0) {
    text += " from_chw=" + node.source->flattened_from.ToString();
  }
  const Tensor& output = graph.tensor(node.output);
  text += " -> " + output.shape.ToString();
  if (output.dtype != DType::kFloat32) text += fmt::format(" {}", DTypeName(output.dtype));
  if (!node.weights.chunks.empty()) {
    text += fmt::format(" [{} chunks, {} bytes]", node.weights.chunks.size(),
                        node.weights.TotalBytes());
  }
  return text;
}

std::string Dump(const Graph& graph) {
  std::string text = graph.stage == Stage::kRows ? "graph rows\n" : "graph logical\n";
  for (const Port& port : graph.inputs) text += PortText(graph, "input", port) + "\n";
  for (const Node& node : graph.nodes) text += DumpNode(graph, node) + "\n";
  for (const Port& port : graph.outputs) text += PortText(graph, "output", port) + "\n";
  return text;
}

}  // namespace coracle::graph

// ConvInteger and MatMulInteger give bare sums, which models then cast, multiply by x_scale w_scale
// and add a bias to: the layer on integers does it all, with the same roundings.
#include <algorithm>
#include <optional>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/quantized.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Binary;
using graph::BinaryKind;
using graph::Node;
using graph::NodeIndex;
using graph::Operands;
using graph::OpKind;
using graph::TensorIndex;

/// A Conv or Dense on integers whose float32 result only one node reads, still without activation.
const Node* BareSums(const Rewriter& rewriter, TensorIndex tensor) {
  const Node* sums = rewriter.SoleProducer(tensor);
  if (sums == nullptr || !IsFloatOfSums(rewriter.graph(), *sums)) return nullptr;
  const bool bare = sums->activation == graph::Activation{} && sums->source != nullptr &&
                    sums->source->bias.empty();
  return bare ? sums : nullptr;
}

uint32_t SumsAxis(const graph::Graph& graph, const Node& sums) {
  const Shape& shape = graph.shape(sums.output);
  return sums.kind() == OpKind::kConv ? ChannelAxis(graph, shape) : shape.rank() - 1;
}

/// The operand of a Binary of `kind` with the constant `values` on its right.
std::optional<TensorIndex> OperandOf(const Node* node, BinaryKind kind,
                                     const std::vector<float>& values) {
  if (node == nullptr || node->activation != graph::Activation{}) return std::nullopt;
  const auto* binary = std::get_if<Binary>(&node->attrs);
  if (binary == nullptr || binary->kind != kind || binary->operands != Operands::kConstantRight ||
      FloatsOf(*node->source->weight) != values) {
    return std::nullopt;
  }
  return node->inputs[0];
}

/// The range that the importer replaced by one of scale 1 and the same zero point.
std::optional<TensorIndex> RangeBehindUnit(const Rewriter& rewriter, const Node& sums) {
  if (sums.integer.in_source != graph::QuantizationSource::kTensor) return std::nullopt;
  const auto zero = OperandOf(rewriter.Producer(sums.inputs[1]), BinaryKind::kAdd, {1, 0});
  if (!zero) return std::nullopt;
  return OperandOf(rewriter.Producer(*zero), BinaryKind::kMul, {0, 1});
}

/// True if `scale` is the one number range[0, 0, 0], `range` maybe one copy of it for each image.
bool IsScaleOf(const Rewriter& rewriter, TensorIndex scale, TensorIndex range) {
  const Node* reshape = rewriter.Producer(scale);
  if (reshape == nullptr || reshape->kind() != OpKind::kReshape) return false;
  const Node* slice = rewriter.Producer(reshape->inputs[0]);
  if (slice == nullptr || slice->kind() != OpKind::kSlice) return false;
  const auto& starts = std::get<graph::Slice>(slice->attrs).starts;
  const bool first = std::all_of(starts.begin(), starts.end(), [](int64_t at) { return at == 0; });
  if (!first || rewriter.graph().shape(slice->output) != Shape{1, 1, 1}) return false;
  const TensorIndex whole = slice->inputs[0];
  if (whole == range) return true;
  const Node* copies = rewriter.Producer(range);
  return copies != nullptr && copies->kind() == OpKind::kConcat &&
         std::all_of(copies->inputs.begin(), copies->inputs.end(),
                     [&](TensorIndex copy) { return copy == whole; });
}

/// A constant as one value a channel of `shape`, if it varies along `axis` alone.
std::optional<std::vector<float>> AlongChannels(const graph::Constant& constant, const Shape& shape,
                                                uint32_t axis) {
  std::vector<float> values = FloatsOf(constant);
  const uint32_t lead = shape.rank() - std::min(shape.rank(), constant.shape.rank());
  if (values.size() == 1) return std::vector<float>(shape[axis], values[0]);
  if (constant.shape.rank() > shape.rank() || axis < lead || values.size() != shape[axis] ||
      constant.shape[axis - lead] != shape[axis]) {
    return std::nullopt;
  }
  return values;
}

/// Multipliers of the model's `factor`: range[0] times a constant, or by itself.
std::optional<std::vector<float>> FactorOf(const Rewriter& rewriter, TensorIndex factor,
                                           TensorIndex range, const Shape& shape, uint32_t axis) {
  if (IsScaleOf(rewriter, factor, range)) return std::vector<float>(shape[axis], 1.0F);
  const Node* mul = rewriter.Producer(factor);
  if (mul == nullptr || mul->activation != graph::Activation{}) return std::nullopt;
  const auto* binary = std::get_if<Binary>(&mul->attrs);
  if (binary == nullptr || binary->kind != BinaryKind::kMul ||
      binary->operands == Operands::kTensors || !IsScaleOf(rewriter, mul->inputs[0], range)) {
    return std::nullopt;
  }
  return AlongChannels(*mul->source->weight, shape, axis);
}

/// `index` is sums (x_scale w_scale), by tensors.
bool FuseDynamicScale(Rewriter& rewriter, NodeIndex index, size_t operand) {
  const graph::Graph& graph = rewriter.graph();
  const Node& mul = graph.node(index);
  const Node* sums = BareSums(rewriter, mul.inputs[operand]);
  if (sums == nullptr || !sums->source->scale.empty()) return false;
  if (graph.shape(sums->output) != graph.shape(mul.output)) return false;
  const auto range = RangeBehindUnit(rewriter, *sums);
  if (!range) return false;
  const auto factor = FactorOf(rewriter, mul.inputs[1 - operand], *range, graph.shape(mul.output),
                               SumsAxis(graph, *sums));
  if (!factor) return false;
  graph::WeightSource source = *sums->source;
  source.scale = *factor;
  Node fused = *sums;
  fused.source = std::make_shared<graph::WeightSource>(std::move(source));
  fused.inputs[1] = *range;
  fused.output = mul.output;
  fused.activation = mul.activation;
  rewriter.SetNode(index, std::move(fused));
  return true;
}

/// `index` scales or shifts sums by constants. A scale goes in before any other, a shift as the
/// last: then every rounding stays where it was.
void FuseConstants(Rewriter& rewriter, NodeIndex index) {
  const graph::Graph& graph = rewriter.graph();
  const Node& node = graph.node(index);
  const auto* binary = std::get_if<Binary>(&node.attrs);
  const bool divides = binary != nullptr && binary->kind == BinaryKind::kDiv;
  if (node.inputs.size() != 1 || divides) return;
  const Node* sums = BareSums(rewriter, node.inputs[0]);
  if (sums == nullptr || graph.shape(sums->output) != graph.shape(node.output)) return;
  const auto linear = MatchLinear(graph, node, SumsAxis(graph, *sums));
  if (!linear) return;
  const uint32_t channels = ChannelsOfSums(*sums);
  graph::WeightSource source = *sums->source;
  const std::vector<float> scale = ToChannels(linear->scale, channels, 1);
  if (!scale.empty() && !source.scale.empty()) return;
  if (!scale.empty()) source.scale = scale;
  source.bias = ToChannels(linear->shift, channels, 0);
  Node fused = *sums;
  fused.source = std::make_shared<graph::WeightSource>(std::move(source));
  fused.output = node.output;
  fused.activation = node.activation;
  rewriter.SetNode(index, std::move(fused));
}

}  // namespace

size_t ScaleIntegerSums(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    const auto* binary = std::get_if<Binary>(&node.attrs);
    const bool multiplies = binary != nullptr && binary->kind == BinaryKind::kMul &&
                            binary->operands == Operands::kTensors;
    if (!multiplies) return FuseConstants(rewriter, index);
    if (!FuseDynamicScale(rewriter, index, 0)) FuseDynamicScale(rewriter, index, 1);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

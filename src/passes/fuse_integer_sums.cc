// A float layer between a dequantisation (and one of its weight) and, maybe, a quantisation is a
// layer on integers. onnxruntime does the same; where a Quantize follows it scales sums by
// (x_scale w_scale) / y_scale, and so does this pass.
#include <cmath>
#include <map>
#include <optional>

#include "graph/verify.h"
#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/quantized.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::Constant;
using graph::Node;
using graph::NodeIndex;
using graph::OpKind;
using graph::WeightSource;
using graph::WeightType;

using ConstantPtr = std::shared_ptr<const Constant>;
/// int8 constants by the uint8 ones that they were made from.
using Int8Constants = std::map<const Constant*, ConstantPtr>;

/// A bias beyond this many steps stays a float: other integers round to the same float.
constexpr double kIntegerBiasMax = 1 << 24;

/// True if the weight's parameters are one for all, or one an output channel.
bool ScalesChannels(const Node& node, const graph::DequantizedFrom& from) {
  if (from.scale.size() == 1) return true;
  const uint32_t rank = from.integers->shape.rank();
  if (node.kind() == OpKind::kConv) return from.axis == 0;
  const bool last = node.source->dense_order == graph::DenseOrder::kInputsByOutputs;
  return from.axis + (last ? 1 : 2) == rank;
}

/// The Dequantize before the layer, if the layer can compute on integers.
const Node* DequantizeBefore(const Rewriter& rewriter, const Node& node) {
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr && node.kind() != OpKind::kDense) return nullptr;
  if (node.weight_type != WeightType::kFloat32 || node.residual != graph::Residual::kNone ||
      node.source == nullptr || node.source->weight == nullptr) {
    return nullptr;
  }
  if (conv != nullptr && conv->algorithm != graph::ConvAlgorithm::kDirect) return nullptr;
  const graph::DequantizedFrom* from = node.source->weight->from.get();
  if (from == nullptr || DTypeBytes(from->integers->dtype) != 1) return nullptr;
  if (!ScalesChannels(node, *from)) return nullptr;
  if (graph::SumTerms(rewriter.graph(), node) > graph::kMaxIntegerSumTerms) return nullptr;
  return ConstantDequantize(rewriter.Producer(node.inputs[0]));
}

/// The weight's integers as int8, in the weight's shape.
ConstantPtr Int8Weight(const Constant& weight, Int8Constants& converted) {
  auto result = std::make_shared<Constant>(*weight.from->integers);
  result->shape = weight.shape;
  if (result->dtype == DType::kInt8) return result;
  ConstantPtr& known = converted[weight.from->integers.get()];
  if (known == nullptr) {
    auto bytes =
        std::make_shared<std::vector<std::byte>>(result->bytes.begin(), result->bytes.end());
    for (std::byte& byte : *bytes) byte ^= std::byte{0x80};
    result->bytes = Bytes(*bytes);
    result->owner = std::move(bytes);
    known = result;
  }
  result->bytes = known->bytes;
  result->owner = known->owner;
  result->dtype = DType::kInt8;
  return result;
}

/// The bias as integers in steps of `scale`, if it is that.
std::optional<std::vector<int32_t>> IntegerBias(const std::vector<float>& bias,
                                                const std::vector<float>& scale) {
  std::vector<int32_t> integers;
  for (size_t i = 0; i < bias.size(); ++i) {
    const double steps = std::nearbyint(double{bias[i]} / double{scale[i]});
    if (!(std::abs(steps) < kIntegerBiasMax)) return std::nullopt;
    if (static_cast<float>(steps) * scale[i] != bias[i]) return std::nullopt;
    integers.push_back(static_cast<int32_t>(steps));
  }
  return integers;
}

/// The layer on integers, its output still float32.
Node OnIntegers(const Node& layer, const Node& dequantize, uint32_t channels,
                Int8Constants& converted) {
  const WeightSource& old = *layer.source;
  const graph::DequantizedFrom& from = *old.weight->from;
  const graph::Quantization& in = std::get<graph::Dequantize>(dequantize.attrs).in;
  WeightSource source = old;
  source.weight = Int8Weight(*old.weight, converted);
  source.scale.resize(channels);
  bool any_zero = false;
  const int32_t shift = from.integers->dtype == DType::kUint8 ? 128 : 0;
  for (uint32_t n = 0; n < channels; ++n) {
    const size_t at = from.scale.size() == 1 ? 0 : n;
    source.scale[n] = in.scale * from.scale[at];
    source.weight_zero.push_back(from.zero[at] - shift);
    any_zero = any_zero || source.weight_zero.back() != 0;
  }
  if (!any_zero) source.weight_zero.clear();
  if (const auto bias = IntegerBias(old.bias, source.scale); bias && old.scale.empty()) {
    source.integer_bias = *bias;
    source.bias.clear();
  }
  for (size_t n = 0; n < old.scale.size(); ++n) source.scale[n] *= old.scale[n];
  Node node = layer;
  node.inputs = {dequantize.inputs[0]};
  node.weight_type = WeightType::kDot8;
  node.integer.in_zero = in.zero;
  node.source = std::make_shared<WeightSource>(std::move(source));
  return node;
}

/// f(s x) = s f'(x) for s > 0 and an f' of the same kind.
bool IsHomogeneous(ActivationKind kind) {
  return kind == ActivationKind::kNone || kind == ActivationKind::kRelu ||
         kind == ActivationKind::kLeakyRelu || kind == ActivationKind::kClip;
}

/// The node's values in steps of `out`, to uint8. Requires: a homogeneous activation.
void CountInSteps(Node& node, const graph::Quantization& out) {
  WeightSource source = *node.source;
  for (float& value : source.scale) value /= out.scale;
  for (float& value : source.bias) value /= out.scale;
  node.source = std::make_shared<WeightSource>(std::move(source));
  if (node.activation.kind == ActivationKind::kClip) {
    node.activation.a /= out.scale;
    node.activation.b /= out.scale;
  }
  node.integer.out = {1, out.zero};
}

/// A layer whose only reader, its activation aside, is a Quantize.
struct Quantized {
  const Node* layer = nullptr;
  graph::Activation activation;
};
Quantized LayerBefore(const Rewriter& rewriter, const Node& quantize) {
  Quantized found;
  found.layer = rewriter.SoleProducer(quantize.inputs[0]);
  if (found.layer == nullptr) return found;
  found.activation = found.layer->activation;
  if (found.layer->kind() != OpKind::kUnary) return found;
  found.layer = rewriter.SoleProducer(found.layer->inputs[0]);
  if (found.layer != nullptr && found.layer->activation != graph::Activation{}) return {};
  return found;
}

/// Rewrites the Quantize at `index` as the layer before it.
void FuseQuantize(Rewriter& rewriter, NodeIndex index, Int8Constants& converted) {
  const graph::Graph& graph = rewriter.graph();
  const Node& quantize = graph.node(index);
  if (!IsConstantQuantize(quantize)) return;
  const graph::Quantization out = std::get<graph::Quantize>(quantize.attrs).out;
  const Quantized found = LayerBefore(rewriter, quantize);
  if (found.layer == nullptr) return;
  Node fused = *found.layer;
  const Node* dequantize = DequantizeBefore(rewriter, fused);
  if (dequantize != nullptr) {
    const uint32_t channels = ChannelsOfSums(fused);
    fused = OnIntegers(fused, *dequantize, channels, converted);
    fused.activation = found.activation;
    if (IsHomogeneous(found.activation.kind)) {
      CountInSteps(fused, out);
    } else {
      fused.integer.out = out;
    }
  } else if (fused.weight_type == WeightType::kDot8) {
    // Sums that the model scales itself: quantised as the Quantize did.
    fused.activation = found.activation;
    fused.integer.out = out;
  } else {
    return;
  }
  fused.output = quantize.output;
  rewriter.SetNode(index, std::move(fused));
}

}  // namespace

size_t FuseIntegerSums(graph::Graph& graph) {
  Rewriter rewriter(graph);
  Int8Constants converted;
  rewriter.ForEach([&](NodeIndex index) { FuseQuantize(rewriter, index, converted); });
  rewriter.ForEach([&](NodeIndex index) {
    const Node& layer = graph.node(index);
    const Node* dequantize = DequantizeBefore(rewriter, layer);
    if (dequantize == nullptr) return;
    rewriter.SetNode(index, OnIntegers(layer, *dequantize, ChannelsOfSums(layer), converted));
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

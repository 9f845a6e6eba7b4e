#include <cstring>
#include <memory>
#include <optional>

#include "passes/linear.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Activation;
using graph::Node;
using graph::NodeIndex;

bool HasPadding(const graph::Window& w) {
  return w.pad_top != 0 || w.pad_left != 0 || w.pad_bottom != 0 || w.pad_right != 0;
}

/// Reads a float32 weight in place: it may be a large mapped file.
class WeightReader {
 public:
  explicit WeightReader(const graph::Constant& weight) : bytes_(weight.bytes) {}
  double At(uint64_t element) const {
    float value = 0;
    std::memcpy(&value, bytes_.data() + element * sizeof(float), sizeof(float));
    return static_cast<double>(value);
  }

 private:
  Bytes bytes_;
};

/// sum over inputs k of w[out, k] shift[channel of k], for each output channel.
std::vector<double> ConvShift(const graph::Conv& conv, const graph::Constant& weight,
                              const Linear& linear) {
  const WeightReader reader(weight);
  const uint64_t group_inputs = weight.shape[1];
  const uint64_t taps = uint64_t{weight.shape[2]} * weight.shape[3];
  const uint64_t group_outputs = conv.out_channels / conv.groups;
  std::vector<double> sums(conv.out_channels, 0);
  uint64_t element = 0;
  for (uint64_t out = 0; out < conv.out_channels; ++out) {
    const uint64_t first = out / group_outputs * group_inputs;
    for (uint64_t in = 0; in < group_inputs; ++in) {
      double sum = 0;
      for (uint64_t tap = 0; tap < taps; ++tap) sum += reader.At(element++);
      sums[out] += sum * linear.ShiftAt(first + in);
    }
  }
  return sums;
}

std::vector<double> DenseShift(uint32_t outputs, const graph::WeightSource& source,
                               const Linear& linear) {
  const WeightReader reader(*source.weight);
  const bool inputs_first = source.dense_order == graph::DenseOrder::kInputsByOutputs;
  const uint64_t inputs = source.weight->shape[inputs_first ? 0 : 1];
  std::vector<double> sums(outputs, 0);
  for (uint64_t i = 0, element = 0; i < (inputs_first ? inputs : outputs); ++i) {
    for (uint64_t j = 0; j < (inputs_first ? outputs : inputs); ++j, ++element) {
      const uint64_t in = inputs_first ? i : j;
      sums[inputs_first ? j : i] += reader.At(element) * linear.ShiftAt(in);
    }
  }
  return sums;
}

/// What `shift` on the inputs adds to each output before the source's own scale; nothing if it is
/// not the same everywhere.
std::optional<std::vector<double>> OutputShift(const Node& consumer, const Linear& linear) {
  if (const auto* conv = std::get_if<graph::Conv>(&consumer.attrs)) {
    if (linear.OnlyScales()) return std::vector<double>(conv->out_channels, 0);
    if (HasPadding(conv->window)) return std::nullopt;
    return ConvShift(*conv, *consumer.source->weight, linear);
  }
  if (const auto* dense = std::get_if<graph::Dense>(&consumer.attrs)) {
    if (linear.OnlyScales()) return std::vector<double>(dense->out_features, 0);
    if (consumer.source->flattened_from.rank() != 0 && linear.shift.size() != 1) {
      return std::nullopt;
    }
    return DenseShift(dense->out_features, *consumer.source, linear);
  }
  return std::nullopt;
}

void Fold(Rewriter& rewriter, NodeIndex index) {
  const graph::Graph& graph = rewriter.graph();
  const Node& node = graph.node(index);
  const bool is_conv = node.kind() == graph::OpKind::kConv;
  if ((!is_conv && node.kind() != graph::OpKind::kDense) || node.source == nullptr) return;
  if (node.weight_type == graph::WeightType::kDot8) return;
  const Node* producer = rewriter.SoleProducer(node.inputs[0]);
  if (producer == nullptr || producer->activation != Activation{}) return;
  const Shape& in = graph.shape(node.inputs[0]);
  const auto linear =
      MatchLinear(graph, *producer, is_conv ? ChannelAxis(graph, in) : in.rank() - 1);
  if (!linear || linear->scale.size() != 1) return;
  const auto shift = OutputShift(node, *linear);
  if (!shift) return;

  graph::WeightSource source = CopySource(node);
  std::vector<double> bias = *shift;
  for (size_t i = 0; i < bias.size(); ++i) {
    bias[i] *= source.scale.empty() ? 1.0 : static_cast<double>(source.scale[i]);
    bias[i] += source.bias.empty() ? 0.0 : static_cast<double>(source.bias[i]);
  }
  const size_t channels = bias.size();
  source.bias.clear();
  ApplyToSource(Linear{linear->input, linear->scale, {0}}, channels, source);
  source.bias = ToChannels(bias, channels, 0);
  Node folded = node;
  folded.inputs[0] = linear->input;
  folded.source = std::make_shared<graph::WeightSource>(std::move(source));
  rewriter.SetNode(index, std::move(folded));
}

}  // namespace

size_t FoldLinearForward(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) { Fold(rewriter, index); });
  return rewriter.Finish();
}

}  // namespace coracle::passes

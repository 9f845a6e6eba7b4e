#include "compile/quantize_activations.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/check.h"
#include "compile/quantize_weight.h"
#include "compile/split_residuals.h"
#include "compile/tensor_forms.h"

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::Node;
using graph::Quantization;
using graph::TensorIndex;

/// Makes the activation one of values in steps of `scale`, so that nothing need be divided by it
/// afterwards. False where it cannot be: the activation bends.
bool CountsInSteps(graph::Activation& activation, float scale) {
  switch (activation.kind) {
    case graph::ActivationKind::kNone:
    case graph::ActivationKind::kRelu:
    case graph::ActivationKind::kLeakyRelu:
      return true;
    case graph::ActivationKind::kClip:
      activation.a /= scale;
      activation.b /= scale;
      return true;
    default:
      return false;
  }
}

/// Writes the quantised network node by node, each tensor in the forms that its readers ask for.
class Rewrite {
 public:
  Rewrite(const Graph& from, const std::vector<TensorSummary>& summaries)
      : from_(from), summaries_(summaries), forms_(from, summaries), made_(from.tensors.size()) {}

  Result<QuantizedGraph> Run() {
    to_.graph.stage = from_.stage;
    for (const graph::Port& port : from_.inputs) {
      Made(port.tensor).as_float = Declare(port.tensor, DType::kFloat32);
      QuantizeEarly(port.tensor);
      to_.graph.inputs.push_back(port);
      to_.graph.inputs.back().tensor = *Made(port.tensor).as_float;
    }
    for (size_t i = 0; i < from_.nodes.size(); ++i) Append(static_cast<graph::NodeIndex>(i));
    for (const graph::Port& port : from_.outputs) {
      to_.graph.outputs.push_back(port);
      to_.graph.outputs.back().tensor = AsFloat(port.tensor);
    }
    if (!integer_) {
      return Error{Code::kUnsupported,
                   "no layer of the model can compute on integers; leave --quantize-activations "
                   "out"};
    }
    return std::move(to_);
  }

 private:
  /// The forms in which a tensor of the old network exists in the new one.
  struct Forms {
    std::optional<TensorIndex> as_float;
    std::optional<TensorIndex> as_uint8;
  };
  Forms& Made(TensorIndex old) { return made_[Position(old)]; }

  TensorIndex Declare(TensorIndex old, DType dtype, const char* suffix = "") {
    const graph::Tensor& tensor = from_.tensor(old);
    return to_.graph.AddTensor(tensor.name + suffix, tensor.shape, dtype);
  }

  void Append(graph::NodeIndex index) {
    const Node& node = from_.node(index);
    if (!forms_.TakesUint8(index)) return AppendFloat(node);
    if (CanSumIntegers(from_, node)) return AppendLayer(node);
    if (node.kind() == graph::OpKind::kBinary) return AppendAdd(node);
    Node move = node;
    for (TensorIndex& input : move.inputs) input = AsUint8(input);
    move.output = Declare(node.output, DType::kUint8);
    Made(node.output).as_uint8 = move.output;
    to_.graph.AddNode(std::move(move));
  }

  void AppendFloat(const Node& node) {
    Node same = node;
    for (TensorIndex& input : same.inputs) input = AsFloat(input);
    same.output = Declare(node.output, DType::kFloat32);
    Made(node.output).as_float = same.output;
    to_.graph.AddNode(std::move(same));
    QuantizeEarly(node.output);
  }

  void AppendLayer(const Node& node) {
    const bool gives_uint8 = forms_.AllTake(node.output);
    const Quantization in = forms_.QuantizationOf(node.inputs[0]);
    Node layer = node;
    layer.inputs = {AsUint8(node.inputs[0])};
    layer.output = Declare(node.output, gives_uint8 ? DType::kUint8 : DType::kFloat32);
    layer.weight_type = graph::WeightType::kDot8;
    layer.integer.in_zero = in.zero;
    if (gives_uint8) layer.integer.out = forms_.QuantizationOf(node.output);
    const auto source = IntegerSource(node, in.scale);
    layer.source = source;
    layer.weights = {};
    (gives_uint8 ? Made(node.output).as_uint8 : Made(node.output).as_float) = layer.output;
    to_.layers.push_back({node.name, node.output, layer.output, layer.integer.out});
    if (const float scale = layer.integer.out.scale; CountsInSteps(layer.activation, scale)) {
      for (float& value : source->scale) value /= scale;
      for (float& value : source->bias) value /= scale;
      layer.integer.out.scale = 1;
    }
    integer_ = true;
    to_.graph.AddNode(std::move(layer));
  }

  std::shared_ptr<graph::WeightSource> IntegerSource(const Node& node, float in_scale) const {
    auto source = std::make_shared<graph::WeightSource>(*node.source);
    QuantizedWeight quantized = QuantizeWeight(node, summaries_[Position(node.inputs[0])].means);
    const size_t channels = quantized.steps.size();
    source->weight = std::move(quantized.weight);
    source->scale.resize(channels, 1.0F);
    source->bias.resize(channels, 0.0F);
    for (size_t channel = 0; channel < channels; ++channel) {
      source->bias[channel] += source->scale[channel] * quantized.bias_shifts[channel];
      source->scale[channel] *= quantized.steps[channel] * in_scale;
    }
    return source;
  }

  void AppendAdd(const Node& node) {
    Node sum = node;
    graph::QuantizedAdd add{forms_.QuantizationOf(node.inputs[0]),
                            forms_.QuantizationOf(node.inputs[1]),
                            forms_.QuantizationOf(node.output)};
    const Quantization out = add.out;
    if (CountsInSteps(sum.activation, out.scale)) {
      add.a.scale /= out.scale;
      add.b.scale /= out.scale;
      add.out.scale = 1;
    }
    sum.attrs = add;
    for (TensorIndex& input : sum.inputs) input = AsUint8(input);
    sum.output = Declare(node.output, DType::kUint8);
    Made(node.output).as_uint8 = sum.output;
    to_.layers.push_back({node.name, node.output, sum.output, out});
    to_.graph.AddNode(std::move(sum));
  }

  /// A float32 tensor that nobody else reads becomes uint8 at once, so that it need not wait.
  void QuantizeEarly(TensorIndex old) {
    if (forms_.AllTake(old)) AsUint8(old);
  }

  TensorIndex AsFloat(TensorIndex old) {
    Forms& forms = Made(old);
    if (!forms.as_float) {
      forms.as_float = Convert(old, *forms.as_uint8, DType::kFloat32,
                               graph::Dequantize{forms_.QuantizationOf(old)});
    }
    return *forms.as_float;
  }

  TensorIndex AsUint8(TensorIndex old) {
    Forms& forms = Made(old);
    if (!forms.as_uint8) {
      forms.as_uint8 =
          Convert(old, *forms.as_float, DType::kUint8, graph::Quantize{forms_.QuantizationOf(old)});
    }
    return *forms.as_uint8;
  }

  TensorIndex Convert(TensorIndex old, TensorIndex input, DType dtype, graph::Attributes attrs) {
    Node node;
    node.output = Declare(old, dtype, dtype == DType::kUint8 ? " as uint8" : " as float32");
    node.name = to_.graph.tensor(node.output).name;
    node.attrs = std::move(attrs);
    node.inputs = {input};
    const TensorIndex output = node.output;
    to_.graph.AddNode(std::move(node));
    return output;
  }

  const Graph& from_;
  const std::vector<TensorSummary>& summaries_;
  const TensorForms forms_;
  std::vector<Forms> made_;  ///< by tensor of from_
  QuantizedGraph to_;
  bool integer_ = false;
};

}  // namespace

Result<QuantizedGraph> QuantizeActivations(const Graph& graph,
                                           const std::vector<TensorSummary>& summaries) {
  return Rewrite(graph, summaries).Run();
}

}  // namespace coracle::compile

#include "compile/float_twin_for_test.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "compile/compile.h"

namespace coracle::compile {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::Node;
using graph::Quantization;
using graph::TensorIndex;

class Twin {
 public:
  explicit Twin(const graph::Graph& from) : from_(from) {
    to_ = from;
    to_.nodes.clear();
    for (graph::Tensor& tensor : to_.tensors) tensor.dtype = DType::kFloat32;
  }

  graph::Graph Make() {
    for (const Node& node : from_.nodes) Append(node);
    CutWeights(to_);
    return std::move(to_);
  }

 private:
  void Append(const Node& node) {
    if (node.weight_type == graph::WeightType::kDot8) return AppendLayer(node);
    if (const auto* quantize = std::get_if<graph::Quantize>(&node.attrs)) {
      return Requantise(node.inputs[0], quantize->out, node.output);
    }
    if (const auto* dequantize = std::get_if<graph::Dequantize>(&node.attrs)) {
      Affine(node.inputs[0], dequantize->in.scale, -dequantize->in.scale * dequantize->in.zero, {},
             node.output);
      return;
    }
    if (const auto* add = std::get_if<graph::QuantizedAdd>(&node.attrs)) {
      return AppendAdd(node, *add);
    }
    to_.AddNode(node);
  }

  void AppendLayer(const Node& node) {
    const bool gives_codes = from_.tensor(node.output).dtype == DType::kUint8;
    Node layer = node;
    layer.weight_type = graph::WeightType::kFloat32;
    layer.integer = {};
    layer.inputs = {Affine(node.inputs[0], 1, -static_cast<float>(node.integer.in_zero), {})};
    layer.source = FloatSource(*node.source);
    if (gives_codes) layer.output = Like(node.output);
    const TensorIndex values = layer.output;
    to_.AddNode(std::move(layer));
    if (gives_codes) Requantise(values, node.integer.out, node.output);
  }

  static std::shared_ptr<const graph::WeightSource> FloatSource(const graph::WeightSource& from) {
    CORACLE_CHECK(from.weight->dtype == DType::kInt8 && from.weight_zero.empty() &&
                  from.integer_bias.empty());
    auto storage = std::make_shared<std::vector<float>>();
    for (const std::byte code : from.weight->bytes) {
      storage->push_back(static_cast<float>(std::to_integer<int8_t>(code)));
    }
    auto weight = std::make_shared<graph::Constant>(*from.weight);
    weight->dtype = DType::kFloat32;
    weight->bytes = std::as_bytes(std::span(*storage));
    weight->owner = storage;
    auto source = std::make_shared<graph::WeightSource>(from);
    source->weight = std::move(weight);
    return source;
  }

  void AppendAdd(const Node& node, const graph::QuantizedAdd& add) {
    Node sum = node;
    sum.attrs = graph::Binary{};
    const Quantization in[] = {add.a, add.b};
    for (size_t i = 0; i < 2; ++i) {
      sum.inputs[i] = Affine(node.inputs[i], in[i].scale, -in[i].scale * in[i].zero, {});
    }
    sum.output = Like(node.output);
    const TensorIndex values = sum.output;
    to_.AddNode(std::move(sum));
    Requantise(values, add.out, node.output);
  }

  /// saturate(round(x / scale) + zero), ties upwards.
  void Requantise(TensorIndex input, const Quantization& out, TensorIndex output) {
    const TensorIndex codes =
        Affine(input, 1 / out.scale, out.zero + 0.5F, {ActivationKind::kFloor, 0, 0});
    Node clip;
    clip.name = to_.tensor(output).name + " clip";
    clip.attrs = graph::Unary{};
    clip.inputs = {codes};
    clip.output = output;
    clip.activation = {ActivationKind::kClip, 0, 255};
    to_.AddNode(std::move(clip));
  }

  TensorIndex Affine(TensorIndex input, float scale, float shift, Activation activation) {
    const TensorIndex output = Like(input);
    Affine(input, scale, shift, activation, output);
    return output;
  }
  void Affine(TensorIndex input, float scale, float shift, Activation activation,
              TensorIndex output) {
    const uint32_t channels = to_.shape(input).Back(0);
    auto source = std::make_shared<graph::WeightSource>();
    source->scale.assign(channels, scale);
    source->bias.assign(channels, shift);
    Node node;
    node.name = to_.tensor(output).name + " affine";
    node.attrs = graph::Affine{};
    node.inputs = {input};
    node.output = output;
    node.activation = activation;
    node.source = std::move(source);
    to_.AddNode(std::move(node));
  }

  TensorIndex Like(TensorIndex tensor) {
    const Shape shape = to_.shape(tensor);
    return to_.AddTensor(to_.tensor(tensor).name + " twin", shape);
  }

  const graph::Graph& from_;
  graph::Graph to_;
};

}  // namespace

graph::Graph FloatTwin(const graph::Graph& quantized) { return Twin(quantized).Make(); }

}  // namespace coracle::compile

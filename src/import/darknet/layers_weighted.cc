// Layers with weights: convolutional, connected, batchnorm.
#include <fmt/format.h>

#include <cmath>

#include "graph/verify.h"
#include "import/darknet/network.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

// blas.c, normalize_cpu: (x - mean) / (sqrt(variance) + .000001f).
constexpr double kNormalizeEpsilon = .000001F;

/// What of a layer's values is per channel. Empty vectors where the reader only counts.
struct ChannelVectors {
  std::vector<float> scale;
  std::vector<float> bias;
};

/// Reads scales, means and variances and folds them, with `vectors.bias`, into one scale and bias:
/// (x - mean) / (sqrt(variance) + epsilon) * scale + bias.
Status ReadBatchNorm(WeightsReader& weights, const std::string& layer, uint64_t channels,
                     ChannelVectors& vectors) {
  TRY_ASSIGN(vectors.scale, weights.Vector(layer, channels));
  TRY_ASSIGN(const std::vector<float> mean, weights.Vector(layer, channels));
  TRY_ASSIGN(const std::vector<float> variance, weights.Vector(layer, channels));
  vectors.bias.resize(vectors.scale.size(), 0);
  for (size_t c = 0; c < vectors.scale.size(); ++c) {
    const double factor = vectors.scale[c] / (std::sqrt(double{variance[c]}) + kNormalizeEpsilon);
    vectors.scale[c] = static_cast<float>(factor);
    vectors.bias[c] = static_cast<float>(vectors.bias[c] - mean[c] * factor);
  }
  return {};
}

/// A WeightSource, or null where the reader only counts.
std::shared_ptr<graph::WeightSource> MakeSource(ConstantPtr weight, ChannelVectors vectors) {
  if (weight == nullptr) return nullptr;
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = std::move(weight);
  source->scale = std::move(vectors.scale);
  source->bias = std::move(vectors.bias);
  return source;
}

Status RefuseVariants(const CfgSection& section) {
  for (const std::string_view key :
       {"binary", "xnor", "flipped", "dontload", "dontloadscales", "antialiasing", "deform",
        "assisted_excitation", "share_index", "stride_x", "stride_y"}) {
    TRY(section.MustBeOff(key));
  }
  TRY_ASSIGN(const uint32_t dilation, section.Count("dilation", 1, 0, graph::kMaxKernel));
  if (dilation != 1) return section.Unsupported("the option dilation is not supported");
  return {};
}

Result<graph::Conv> ReadConv(const CfgSection& section, uint32_t in_channels) {
  graph::Conv conv;
  TRY_ASSIGN(conv.out_channels, section.Count("filters", 1, 1, graph::kMaxDimension));
  TRY_ASSIGN(const uint32_t size, section.Count("size", 1, 1, graph::kMaxKernel));
  TRY_ASSIGN(const uint32_t stride, section.Count("stride", 1, 1, graph::kMaxKernel));
  TRY_ASSIGN(const uint32_t pad, section.Count("pad", 0, 0, 1));
  TRY_ASSIGN(const uint32_t padding, section.Count("padding", 0, 0, graph::kMaxKernel));
  TRY_ASSIGN(conv.groups, section.Count("groups", 1, 1, graph::kMaxDimension));
  if (in_channels % conv.groups != 0 || conv.out_channels % conv.groups != 0) {
    return section.Malformed(fmt::format("{} groups do not divide {} channels and {} filters",
                                         conv.groups, in_channels, conv.out_channels));
  }
  const uint32_t border = pad != 0 ? size / 2 : padding;
  conv.window = {.kernel_h = size,
                 .kernel_w = size,
                 .stride_h = stride,
                 .stride_w = stride,
                 .dilation_h = 1,
                 .dilation_w = 1,
                 .pad_top = border,
                 .pad_left = border,
                 .pad_bottom = border,
                 .pad_right = border};
  return conv;
}

}  // namespace

LayerResult AddConvolutional(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  TRY(RefuseVariants(section));
  const uint32_t in_channels = network.builder.shape(layer.input)[1];
  TRY_ASSIGN(const graph::Conv conv, ReadConv(section, in_channels));
  TRY_ASSIGN(const uint32_t normalize, section.Count("batch_normalize", 0, 0, 1));
  TRY_ASSIGN(const DarknetActivation activation, ReadActivation(section, "logistic"));
  ChannelVectors vectors;
  TRY_ASSIGN(vectors.bias, network.weights.Vector(layer.name, conv.out_channels));
  if (normalize != 0) {
    TRY(ReadBatchNorm(network.weights, layer.name, conv.out_channels, vectors));
  }
  const Shape shape{conv.out_channels, in_channels / conv.groups, conv.window.kernel_h,
                    conv.window.kernel_w};
  TRY_ASSIGN(ConstantPtr weight, network.weights.Weight(layer.name, shape));
  TRY_ASSIGN(const TensorIndex y,
             network.builder.Emit(layer.name,
                                  {.attrs = conv,
                                   .inputs = {layer.input},
                                   .activation = activation.activation,
                                   .source = MakeSource(std::move(weight), std::move(vectors))}));
  return ApplyGain(network, layer, y, activation.gain);
}

Result<ConnectedPart> ReadConnectedPart(WeightsReader& weights, const std::string& name,
                                        uint32_t inputs, uint32_t outputs, bool normalized) {
  ChannelVectors vectors;
  TRY_ASSIGN(vectors.bias, weights.Vector(name, outputs));
  const bool turned = weights.connected_order() == ConnectedOrder::kInputsByOutputs;
  const Shape shape = turned ? Shape{inputs, outputs} : Shape{outputs, inputs};
  TRY_ASSIGN(ConstantPtr weight, weights.Weight(name, shape));
  if (normalized) TRY(ReadBatchNorm(weights, name, outputs, vectors));
  ConnectedPart part{MakeSource(std::move(weight), std::move(vectors))};
  if (part.source != nullptr) {
    part.source->dense_order =
        turned ? graph::DenseOrder::kInputsByOutputs : graph::DenseOrder::kOutputsByInputs;
  }
  return part;
}

LayerResult AddConnected(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  const uint64_t inputs = network.builder.shape(layer.input).Elements();
  if (inputs > graph::kMaxDimension) return section.Unsupported("its input is too large");
  const auto in_features = static_cast<uint32_t>(inputs);
  TRY_ASSIGN(const uint32_t outputs, section.Count("output", 1, 1, graph::kMaxDimension));
  TRY_ASSIGN(const uint32_t normalize, section.Count("batch_normalize", 0, 0, 1));
  TRY_ASSIGN(const DarknetActivation activation, ReadActivation(section, "logistic"));
  TRY(RefuseVariants(section));
  TRY_ASSIGN(ConnectedPart part,
             ReadConnectedPart(network.weights, layer.name, in_features, outputs, normalize != 0));
  GraphBuilder& builder = network.builder;
  TRY_ASSIGN(const TensorIndex flat,
             builder.Reshape(layer.name + "/flat", layer.input, {1, in_features}));
  TRY_ASSIGN(const TensorIndex y, builder.Emit(layer.name, {.attrs = graph::Dense{outputs},
                                                            .inputs = {flat},
                                                            .activation = activation.activation,
                                                            .source = std::move(part.source)}));
  TRY_ASSIGN(const TensorIndex gained, ApplyGain(network, layer, y, activation.gain));
  return builder.Reshape(layer.name + "/plane", gained, {1, outputs, 1, 1});
}

LayerResult AddBatchNorm(DarknetNetwork& network, const DarknetLayer& layer) {
  ChannelVectors vectors;
  const uint32_t channels = network.builder.shape(layer.input)[1];
  TRY(ReadBatchNorm(network.weights, layer.name, channels, vectors));
  return network.builder.Affine(layer.name, layer.input, std::move(vectors.scale),
                                std::move(vectors.bias));
}

}  // namespace coracle::import

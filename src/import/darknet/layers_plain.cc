// Layers without weights that read the layer before them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph/verify.h"
#include "import/darknet/network.h"
#include "import/quoted.h"

namespace coracle::import {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::TensorIndex;

Result<DarknetActivation> ReadActivation(const CfgSection& section, std::string_view otherwise) {
  static const std::map<std::string, DarknetActivation, std::less<>> kActivations = {
      {"linear", {}},
      {"relu", {{ActivationKind::kRelu}}},
      {"leaky", {{ActivationKind::kLeakyRelu, .1F}}},
      {"relie", {{ActivationKind::kLeakyRelu, .01F}}},
      {"ramp", {{ActivationKind::kLeakyRelu, 1.0F / 11.0F}, 1.1F}},  // x (x > 0) + .1 x
      {"logistic", {{ActivationKind::kSigmoid}}},
      {"tanh", {{ActivationKind::kTanh}}},
      {"elu", {{ActivationKind::kElu, 1.0F}}},
      {"hardtan", {{ActivationKind::kClip, -1.0F, 1.0F}}},
      {"swish", {{ActivationKind::kSwish, 1.0F}}},
      {"mish", {{ActivationKind::kMish}}}};
  const std::string name = section.String("activation", otherwise);
  const auto found = kActivations.find(name);
  if (found == kActivations.end()) {
    return section.Unsupported(fmt::format("activation {} is not supported", Quoted(name)));
  }
  return found->second;
}

LayerResult ApplyGain(DarknetNetwork& network, const DarknetLayer& layer, TensorIndex x,
                      float gain) {
  if (gain == 1) return x;
  return network.builder.CombineScalar(layer.name + "/gain", BinaryKind::kMul, x, gain);
}

LayerResult AddMaxPool(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  for (const std::string_view key : {"stride_x", "stride_y", "maxpool_depth", "antialiasing"}) {
    TRY(section.MustBeOff(key));
  }
  TRY_ASSIGN(const uint32_t stride, section.Count("stride", 1, 1, graph::kMaxKernel));
  TRY_ASSIGN(const uint32_t size, section.Count("size", stride, 1, graph::kMaxKernel));
  TRY_ASSIGN(const uint32_t padding, section.Count("padding", size - 1, 0, graph::kMaxKernel));
  // maxpool_layer.c: (h + padding - size) / stride + 1 windows, the first at -padding / 2; taps
  // outside of the image never win.
  const uint32_t before = padding / 2;
  const uint32_t after = padding - before;
  graph::Pool pool;
  pool.window = {.kernel_h = size,
                 .kernel_w = size,
                 .stride_h = stride,
                 .stride_w = stride,
                 .dilation_h = 1,
                 .dilation_w = 1,
                 .pad_top = before,
                 .pad_left = before,
                 .pad_bottom = after,
                 .pad_right = after};
  return network.builder.Emit(layer.name, {.attrs = pool, .inputs = {layer.input}});
}

LayerResult AddAvgPool(DarknetNetwork& network, const DarknetLayer& layer) {
  return network.builder.Emit(layer.name, {.attrs = graph::Reduce{graph::ReduceKind::kMean, {2, 3}},
                                           .inputs = {layer.input}});
}

LayerResult AddUpsample(DarknetNetwork& network, const DarknetLayer& layer) {
  TRY_ASSIGN(const uint32_t stride, layer.section.Count("stride", 2, 1, graph::kMaxKernel));
  TRY_ASSIGN(const float scale, layer.section.Float("scale", 1));
  Shape shape = network.builder.shape(layer.input);
  for (const uint32_t axis : {2U, 3U}) {
    if (shape[axis] > graph::kMaxDimension / stride) {
      return layer.section.Unsupported("its output is too large");
    }
    shape.Set(axis, shape[axis] * stride);
  }
  graph::Resize resize;
  resize.scale_h = static_cast<float>(stride);
  resize.scale_w = static_cast<float>(stride);
  TRY_ASSIGN(const TensorIndex y,
             network.builder.Emit(layer.name,
                                  {.attrs = resize, .inputs = {layer.input}, .declared = shape}));
  return ApplyGain(network, layer, y, scale);
}

LayerResult AddReorg(DarknetNetwork& network, const DarknetLayer& layer) {
  for (const std::string_view key : {"reverse", "flatten", "extra"}) {
    TRY(layer.section.MustBeOff(key));
  }
  TRY_ASSIGN(const uint32_t stride, layer.section.Count("stride", 1, 1, graph::kMaxKernel));
  if (stride == 1) return layer.input;
  return network.builder.Emit(layer.name, {.attrs = graph::Reorg{stride}, .inputs = {layer.input}});
}

LayerResult AddCrop(DarknetNetwork& network, const DarknetLayer& layer) {
  const Shape in = network.builder.shape(layer.input);
  TRY_ASSIGN(const uint32_t height, layer.section.Count("crop_height", 1, 1, in[2]));
  TRY_ASSIGN(const uint32_t width, layer.section.Count("crop_width", 1, 1, in[3]));
  TRY_ASSIGN(const uint32_t no_adjust, layer.section.Count("noadjust", 0, 0, 1));
  // crop_layer.c, when it does not train: the centre, from [0, 1] to [-1, 1] unless noadjust.
  const graph::Slice centre{{0, 0, (in[2] - height) / 2, (in[3] - width) / 2}, {1, 1, 1, 1}};
  TRY_ASSIGN(const TensorIndex cropped,
             network.builder.Slice(layer.name, layer.input, centre, {in[0], in[1], height, width}));
  if (no_adjust != 0) return cropped;
  return network.builder.Affine(layer.name + "/adjust", cropped, std::vector<float>(in[1], 2.0F),
                                std::vector<float>(in[1], -1.0F));
}

LayerResult AddActivation(DarknetNetwork& network, const DarknetLayer& layer) {
  TRY_ASSIGN(const DarknetActivation activation, ReadActivation(layer.section, "linear"));
  TRY_ASSIGN(const TensorIndex y,
             network.builder.Activate(layer.name, layer.input, activation.activation));
  return ApplyGain(network, layer, y, activation.gain);
}

LayerResult AddLogistic(DarknetNetwork& network, const DarknetLayer& layer) {
  return network.builder.Activate(layer.name, layer.input, {.kind = ActivationKind::kSigmoid});
}

LayerResult AddSoftmax(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  GraphBuilder& builder = network.builder;
  if (section.Has("tree")) return section.Unsupported("the option tree is not supported");
  TRY(section.MustBeOff("spatial"));
  const Shape in = builder.shape(layer.input);
  const uint64_t inputs = in.Elements();
  TRY_ASSIGN(const uint32_t groups, section.Count("groups", 1, 1, graph::kMaxDimension));
  TRY_ASSIGN(const float temperature, section.Float("temperature", 1));
  if (inputs % groups != 0 || temperature == 0 || inputs > graph::kMaxDimension) {
    return section.Malformed(
        fmt::format("{} groups at temperature {} of {} inputs", groups, temperature, inputs));
  }
  TRY_ASSIGN(const TensorIndex x, ApplyGain(network, layer, layer.input, 1 / temperature));
  if (groups == 1 && in[1] == inputs) {
    return builder.Emit(layer.name, {.attrs = graph::Softmax{1}, .inputs = {x}});
  }
  const Shape grouped{groups, static_cast<uint32_t>(inputs / groups)};
  TRY_ASSIGN(const TensorIndex rows, builder.Reshape(layer.name + "/groups", x, grouped));
  TRY_ASSIGN(const TensorIndex y,
             builder.Emit(layer.name, {.attrs = graph::Softmax{1}, .inputs = {rows}}));
  return builder.Reshape(layer.name + "/values", y, {1, static_cast<uint32_t>(inputs), 1, 1});
}

LayerResult AddNothing(DarknetNetwork& /*network*/, const DarknetLayer& layer) {
  return layer.input;
}

}  // namespace coracle::import

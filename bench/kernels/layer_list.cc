#include "layer_list.h"

#include "passes/choose_algorithms.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace coracle::bench {
namespace {

using graph::OpKind;
using kernels::LayerShape;

/// One network's layers, equal ones counted.
class Network {
 public:
  Network(std::string_view name, graph::Activation activation, std::vector<ListedLayer>& layers)
      : name_(name), activation_(activation), layers_(layers) {}

  /// A square convolution of an `extent` x `extent` map with the pads that keep the extent (divided
  /// by the stride).
  void Conv(uint32_t kernel, uint32_t inputs, uint32_t outputs, uint32_t extent,
            uint32_t stride = 1, uint32_t times = 1, uint32_t groups = 1) {
    LayerShape shape;
    shape.inputs = inputs;
    shape.outputs = outputs;
    shape.height = shape.width = extent;
    shape.groups = groups;
    const uint32_t pad = kernel / 2;
    shape.window = {.kernel_h = kernel,
                    .kernel_w = kernel,
                    .stride_h = stride,
                    .stride_w = stride,
                    .pad_top = pad,
                    .pad_left = pad,
                    .pad_bottom = pad,
                    .pad_right = pad};
    shape.activation = activation_;
    std::string name =
        groups == inputs ? fmt::format("dw{}", kernel) : fmt::format("{}x{}", kernel, kernel);
    if (stride != 1) name += fmt::format("s{}", stride);
    name += fmt::format("_{}_{}_{}", inputs, outputs, extent);
    if (groups > 1 && groups < inputs) name += fmt::format("_g{}", groups);
    Add(std::move(name), shape, times);
  }

  void Depthwise(uint32_t kernel, uint32_t channels, uint32_t extent, uint32_t stride = 1,
                 uint32_t times = 1) {
    Conv(kernel, channels, channels, extent, stride, times, channels);
  }

  void Add(std::string name, const LayerShape& shape, uint32_t times = 1) {
    const auto same = std::find_if(layers_.begin(), layers_.end(), [&](const ListedLayer& layer) {
      return layer.network == name_ && layer.name == name;
    });
    if (same != layers_.end()) {
      same->count += times;
    } else {
      layers_.push_back({name_, std::move(name), times, shape});
    }
  }

 private:
  const std::string name_;
  const graph::Activation activation_;
  std::vector<ListedLayer>& layers_;
};

constexpr graph::Activation kRelu{.kind = graph::ActivationKind::kRelu};
constexpr graph::Activation kRelu6{.kind = graph::ActivationKind::kClip, .a = 0, .b = 6};
constexpr graph::Activation kLeaky{.kind = graph::ActivationKind::kLeakyRelu, .a = 0.1F};

void AddResNet50(std::vector<ListedLayer>& layers) {
  Network net("resnet50", kRelu, layers);
  net.Conv(7, 3, 64, 224, 2);
  uint32_t inputs = 64;
  uint32_t extent = 56;
  for (const auto& [width, blocks] : {std::pair{64U, 3U}, {128U, 4U}, {256U, 6U}, {512U, 3U}}) {
    for (uint32_t block = 0; block < blocks; ++block) {
      const uint32_t stride = block == 0 && width > 64 ? 2 : 1;
      net.Conv(1, inputs, width, extent);
      net.Conv(3, width, width, extent, stride);
      if (block == 0) net.Conv(1, inputs, 4 * width, extent, stride);
      extent /= stride;
      net.Conv(1, width, 4 * width, extent);
      inputs = 4 * width;
    }
  }
}

void AddVgg16(std::vector<ListedLayer>& layers) {
  Network net("vgg16", kRelu, layers);
  uint32_t inputs = 3;
  uint32_t extent = 224;
  for (const auto& [width, count] :
       {std::pair{64U, 2U}, {128U, 2U}, {256U, 3U}, {512U, 3U}, {512U, 3U}}) {
    for (uint32_t i = 0; i < count; ++i) {
      net.Conv(3, inputs, width, extent);
      inputs = width;
    }
    extent /= 2;
  }
}

/// Darknet-53 and YOLOv3's three heads.
void AddYolo3(std::vector<ListedLayer>& layers) {
  Network net("yolov3", kLeaky, layers);
  net.Conv(3, 3, 32, 416);
  uint32_t width = 64;
  uint32_t extent = 416;
  for (const uint32_t blocks : {1U, 2U, 8U, 8U, 4U}) {
    net.Conv(3, width / 2, width, extent, 2);
    extent /= 2;
    net.Conv(1, width, width / 2, extent, 1, blocks);
    net.Conv(3, width / 2, width, extent, 1, blocks);
    width *= 2;
  }
  uint32_t joined = 1024;  // channels that a head begins with
  for (width = 512; width >= 128; width /= 2, extent *= 2) {
    net.Conv(1, joined, width, extent);
    net.Conv(1, 2 * width, width, extent, 1, 2);
    net.Conv(3, width, 2 * width, extent, 1, 3);
    net.Conv(1, 2 * width, 255, extent);
    if (width > 128) net.Conv(1, width, width / 2, extent);
    joined = width / 2 + width;
  }
}

void AddMobileNet2(std::vector<ListedLayer>& layers) {
  struct Stage {
    uint32_t expansion, outputs, blocks, stride;
  };
  Network net("mobilenet2", kRelu6, layers);
  net.Conv(3, 3, 32, 224, 2);
  uint32_t inputs = 32;
  uint32_t extent = 112;
  for (const Stage& stage : {Stage{1, 16, 1, 1},
                             {6, 24, 2, 2},
                             {6, 32, 3, 2},
                             {6, 64, 4, 2},
                             {6, 96, 3, 1},
                             {6, 160, 3, 2},
                             {6, 320, 1, 1}}) {
    for (uint32_t block = 0; block < stage.blocks; ++block) {
      const uint32_t stride = block == 0 ? stage.stride : 1;
      const uint32_t wide = inputs * stage.expansion;
      if (stage.expansion > 1) net.Conv(1, inputs, wide, extent);
      net.Depthwise(3, wide, extent, stride);
      extent /= stride;
      net.Conv(1, wide, stage.outputs, extent);
      inputs = stage.outputs;
    }
  }
  net.Conv(1, 320, 1280, 7);
}

void AddDenseNet121(std::vector<ListedLayer>& layers) {
  constexpr uint32_t kGrowth = 32;
  Network net("densenet121", kRelu, layers);
  net.Conv(7, 3, 64, 224, 2);
  uint32_t inputs = 64;
  uint32_t extent = 56;
  for (const uint32_t blocks : {6U, 12U, 24U, 16U}) {
    for (uint32_t block = 0; block < blocks; ++block) {
      net.Conv(1, inputs, 4 * kGrowth, extent);
      net.Conv(3, 4 * kGrowth, kGrowth, extent);
      inputs += kGrowth;
    }
    if (extent == 7) break;
    net.Conv(1, inputs, inputs / 2, extent);
    inputs /= 2;
    extent /= 2;
  }
}

LayerShape Upsampling(uint32_t inputs, uint32_t outputs, uint32_t extent, uint32_t kernel = 2,
                      uint32_t pad = 0) {
  LayerShape shape;
  shape.kind = OpKind::kConvTranspose;
  shape.inputs = inputs;
  shape.outputs = outputs;
  shape.height = shape.width = extent;
  shape.window = {.kernel_h = kernel,
                  .kernel_w = kernel,
                  .stride_h = 2,
                  .stride_w = 2,
                  .pad_top = pad,
                  .pad_left = pad,
                  .pad_bottom = pad,
                  .pad_right = pad};
  return shape;
}

LayerShape Dense(uint32_t rows, uint32_t inputs, uint32_t outputs) {
  LayerShape shape;
  shape.kind = OpKind::kDense;
  shape.height = rows;
  shape.inputs = inputs;
  shape.outputs = outputs;
  return shape;
}

void AddOthers(std::vector<ListedLayer>& layers) {
  Network net("other", kRelu, layers);
  net.Conv(11, 3, 96, 224, 4);          // AlexNet
  net.Conv(3, 128, 128, 56, 1, 1, 32);  // ResNeXt-50 32x4d
  net.Conv(3, 256, 256, 28, 1, 1, 32);
  net.Depthwise(5, 120, 28);  // PP-OCRv4
  net.Conv(3, 96, 24, 160);
  net.Add("up2_24_24_160", Upsampling(24, 24, 160));
  net.Add("up2_24_1_320", Upsampling(24, 1, 320));
  net.Add("up2_128_64_56", Upsampling(128, 64, 56));          // U-Net
  net.Add("up4_256_128_28", Upsampling(256, 128, 28, 4, 1));  // DCGAN
  net.Add("dense_40x480_6625", Dense(40, 480, 6625));
  net.Add("dense_1x2048_1000", Dense(1, 2048, 1000));
}

}  // namespace

std::vector<ListedLayer> ListedLayers() {
  std::vector<ListedLayer> layers;
  AddResNet50(layers);
  AddVgg16(layers);
  AddYolo3(layers);
  AddMobileNet2(layers);
  AddDenseNet121(layers);
  AddOthers(layers);
  return layers;
}

uint64_t MultiplyAddsOf(const LayerShape& shape, uint64_t output_elements) {
  const graph::Window& w = shape.window;
  uint64_t per_output = shape.inputs / shape.groups;
  if (shape.kind != OpKind::kDense) per_output *= uint64_t{w.kernel_h} * w.kernel_w;
  if (shape.kind == OpKind::kConvTranspose) per_output /= uint64_t{w.stride_h} * w.stride_w;
  return per_output * output_elements;
}

kernels::LayerShape AsSealed(const kernels::LayerShape& shape) {
  const kernels::LayerCase layer(shape, 1);
  kernels::LayerShape sealed = shape;
  sealed.algorithm = passes::FastestAlgorithm(layer.graph(), layer.node());
  return sealed;
}

}  // namespace coracle::bench

#include "layer_list.h"

namespace coracle::bench {
namespace {

using graph::OpKind;
using kernels::LayerShape;

/// A square convolution with the pads that keep the extent (divided by the stride), and a ReLU.
LayerShape Conv(uint32_t inputs, uint32_t outputs, uint32_t extent, uint32_t kernel,
                uint32_t stride, uint32_t groups = 1) {
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
  shape.activation.kind = graph::ActivationKind::kRelu;
  return shape;
}

LayerShape Depthwise(uint32_t channels, uint32_t extent, uint32_t kernel, uint32_t stride) {
  return Conv(channels, channels, extent, kernel, stride, channels);
}

LayerShape Dense(uint32_t rows, uint32_t inputs, uint32_t outputs) {
  LayerShape shape;
  shape.kind = OpKind::kDense;
  shape.height = rows;
  shape.inputs = inputs;
  shape.outputs = outputs;
  return shape;
}

LayerShape Upsampling(uint32_t inputs, uint32_t outputs, uint32_t extent) {
  LayerShape shape;
  shape.kind = OpKind::kConvTranspose;
  shape.inputs = inputs;
  shape.outputs = outputs;
  shape.height = shape.width = extent;
  shape.window = {.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};
  return shape;
}

}  // namespace

std::vector<NamedLayer> BenchLayers() {
  return {
      {"resnet50/1x1_64_64_56", Conv(64, 64, 56, 1, 1)},
      {"resnet50/1x1_64_256_56", Conv(64, 256, 56, 1, 1)},
      {"resnet50/1x1_256_64_56", Conv(256, 64, 56, 1, 1)},
      {"resnet50/3x3_64_64_56", Conv(64, 64, 56, 3, 1)},
      {"resnet50/3x3s2_128_128_56", Conv(128, 128, 56, 3, 2)},
      {"resnet50/1x1_128_512_28", Conv(128, 512, 28, 1, 1)},
      {"resnet50/3x3_128_128_28", Conv(128, 128, 28, 3, 1)},
      {"resnet50/1x1_1024_256_14", Conv(1024, 256, 14, 1, 1)},
      {"resnet50/3x3_256_256_14", Conv(256, 256, 14, 3, 1)},
      {"resnet50/3x3_512_512_7", Conv(512, 512, 7, 3, 1)},
      {"resnet50/1x1_2048_512_7", Conv(2048, 512, 7, 1, 1)},
      {"resnet50/1x1s2_1024_2048_14", Conv(1024, 2048, 14, 1, 2)},
      {"resnet50/7x7s2_3_64_224", Conv(3, 64, 224, 7, 2)},
      {"resnet50/fc_2048_1000", Dense(1, 2048, 1000)},
      {"vgg16/3x3_3_64_224", Conv(3, 64, 224, 3, 1)},
      {"vgg16/3x3_64_64_224", Conv(64, 64, 224, 3, 1)},
      {"vgg16/3x3_512_512_28", Conv(512, 512, 28, 3, 1)},
      {"alexnet/11x11s4_3_96_224", Conv(3, 96, 224, 11, 4)},
      {"mobilenet2/3x3s2_3_32_224", Conv(3, 32, 224, 3, 2)},
      {"mobilenet2/dw3_32_112", Depthwise(32, 112, 3, 1)},
      {"mobilenet2/1x1_32_16_112", Conv(32, 16, 112, 1, 1)},
      {"mobilenet2/1x1_16_96_112", Conv(16, 96, 112, 1, 1)},
      {"mobilenet2/dw3s2_96_112", Depthwise(96, 112, 3, 2)},
      {"mobilenet2/1x1_96_24_56", Conv(96, 24, 56, 1, 1)},
      {"mobilenet2/1x1_24_144_56", Conv(24, 144, 56, 1, 1)},
      {"mobilenet2/dw3_144_56", Depthwise(144, 56, 3, 1)},
      {"mobilenet2/dw3_576_14", Depthwise(576, 14, 3, 1)},
      {"mobilenet2/1x1_576_96_14", Conv(576, 96, 14, 1, 1)},
      {"mobilenet2/dw3_960_7", Depthwise(960, 7, 3, 1)},
      {"mobilenet2/1x1_320_1280_7", Conv(320, 1280, 7, 1, 1)},
      {"ocr/dw5_120_28", Depthwise(120, 28, 5, 1)},
      {"ocr/3x3_96_24_160", Conv(96, 24, 160, 3, 1)},
      {"ocr/up2_24_24_160", Upsampling(24, 24, 160)},
      {"ocr/dense_40x480_6625", Dense(40, 480, 6625)},
      {"resnext/3x3_128_128_56_g32", Conv(128, 128, 56, 3, 1, 32)},
  };
}

uint64_t MultiplyAddsOf(const LayerShape& shape, uint64_t output_elements) {
  const graph::Window& w = shape.window;
  uint64_t per_output = shape.inputs / shape.groups;
  if (shape.kind != OpKind::kDense) per_output *= uint64_t{w.kernel_h} * w.kernel_w;
  if (shape.kind == OpKind::kConvTranspose) per_output /= uint64_t{w.stride_h} * w.stride_w;
  return per_output * output_elements;
}

}  // namespace coracle::bench

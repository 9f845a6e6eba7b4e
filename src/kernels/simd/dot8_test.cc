#include "kernels/simd/dot8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "hwy/targets.h"
#include "kernels/dot8.h"
#include "kernels/simd/dot8_case.h"

namespace coracle::kernels {
namespace {

using graph::ActivationKind;
using graph::OpKind;
using graph::QuantizationSource;

/// Every kernel of the machine, the reference among them.
struct Named {
  std::string name;
  PanelKernel panels, depthwise;
};

std::vector<Named> Kernels() {
  std::vector<Named> out{
      {"reference", ReferenceKernels().integer_panels, ReferenceKernels().integer_depthwise}};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    out.push_back(
        {hwy::TargetName(target), SimdIntegerPanels(target), SimdIntegerDepthwise(target)});
  }
  return out;
}

graph::Activation PickActivation(Random& random) {
  const graph::Activation activations[] = {{},
                                           {ActivationKind::kRelu},
                                           {ActivationKind::kLeakyRelu, 0.125F},
                                           {ActivationKind::kClip, -0.5F, 2.0F},
                                           {ActivationKind::kAbs}};
  return activations[Pick(random, 0, 4)];
}

graph::Window PickWindow(Random& random, uint32_t kernel_max) {
  graph::Window w;
  w.kernel_h = Pick(random, 1, kernel_max);
  w.kernel_w = Pick(random, 1, kernel_max);
  w.stride_h = Pick(random, 1, 3);
  w.stride_w = Pick(random, 1, 3);
  if (Sometimes(random, 3)) w.dilation_h = Pick(random, 2, 3);
  if (Sometimes(random, 3)) w.dilation_w = Pick(random, 2, 3);
  const uint32_t span_h = w.dilation_h * (w.kernel_h - 1) + 1;
  const uint32_t span_w = w.dilation_w * (w.kernel_w - 1) + 1;
  w.pad_top = Pick(random, 0, span_h - 1);
  w.pad_bottom = Pick(random, 0, span_h - 1);
  w.pad_left = Pick(random, 0, span_w - 1);
  w.pad_right = Pick(random, 0, span_w - 1);
  return w;
}

LayerShape PickShape(Random& random) {
  LayerShape shape;
  shape.kind = Sometimes(random, 5) ? OpKind::kDense : OpKind::kConv;
  shape.images = Pick(random, 1, 3);
  shape.window = PickWindow(random, Sometimes(random, 3) ? 1 : 5);
  const graph::Window& w = shape.window;
  shape.height = std::max(Pick(random, 1, 11), w.dilation_h * (w.kernel_h - 1) + 1);
  shape.width = std::max(Pick(random, 1, 15), w.dilation_w * (w.kernel_w - 1) + 1);
  const bool fours = Sometimes(random, 2);
  shape.inputs = fours ? 4 * Pick(random, 1, 12) : Pick(random, 1, 40);
  shape.outputs = Pick(random, 1, Sometimes(random, 3) ? 200 : 70);
  if (shape.kind == OpKind::kConv && Sometimes(random, 4)) {
    shape.groups = Pick(random, 2, 4);
    shape.inputs *= shape.groups;
    shape.outputs = shape.groups * Pick(random, 1, 20);
  }
  shape.activation = PickActivation(random);
  return shape;
}

IntegerShape PickInteger(Random& random) {
  IntegerShape integer;
  if (Sometimes(random, 3)) {
    integer.in_source = QuantizationSource::kTensor;
  } else {
    integer.in_zero = static_cast<uint8_t>(Pick(random, 0, 255));
  }
  if (Sometimes(random, 3)) {
    integer.output = DType::kFloat32;
  } else {
    integer.out = {Sometimes(random, 2) ? 1 : 0.37F, static_cast<uint8_t>(Pick(random, 0, 255))};
  }
  integer.weight_zeros = Sometimes(random, 2);
  integer.integer_bias = Sometimes(random, 2);
  // From hardly any output at an end of the range to most of them.
  integer.multiplier = Sometimes(random, 2) ? 0.0005F : 0.02F;
  return integer;
}

/// A cutting of the layer's panels that no owner would choose.
graph::WeightLayout RandomCut(const IntegerCase& layer, Random& random) {
  graph::WeightLayout layout;
  const graph::Graph& graph = layer.graph();
  const graph::Node& node = layer.node();
  const uint32_t panels = PanelCount(graph, node);
  for (uint32_t i = 0; i < panels;) {
    const PanelGeometry panel = PanelAt(graph, node, i);
    graph::ChunkDescriptor chunk{.panel_begin = i, .panel_count = 1};
    if (Sometimes(random, 2)) {
      for (uint32_t k = 0; k < panel.k_count; k += chunk.k_count) {
        chunk.k_begin = k;
        chunk.k_count = std::min(4 * Pick(random, 1, 60), panel.k_count - k);
        chunk.bytes =
            static_cast<uint32_t>(Dot8PanelBytes(graph, node, panel.width, chunk.k_count));
        layout.chunks.push_back(chunk);
      }
      ++i;
      continue;
    }
    chunk.panel_count = Pick(random, 1, std::min(panels - i, 5U));
    chunk.k_count = panel.k_count;
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < chunk.panel_count; ++p, ++i) {
      bytes += Dot8PanelBytes(graph, node, PanelAt(graph, node, i).width, panel.k_count);
    }
    if (bytes > graph::kMaxChunkBytes) return node.weights;
    chunk.bytes = static_cast<uint32_t>(bytes);
    layout.chunks.push_back(chunk);
  }
  return layout;
}

void ExpectSameBits(IntegerCase& layer, Random& random) {
  const bool depthwise = graph::IsDepthwise(layer.graph(), layer.node());
  const std::vector<float> want = layer.Expected();
  for (int cut = 0; cut < 2; ++cut) {
    for (const Named& kernels : Kernels()) {
      SCOPED_TRACE(kernels.name + " cut " + std::to_string(cut));
      const std::vector<float> got =
          layer.Compute(depthwise ? kernels.depthwise : kernels.panels, random);
      const auto differ = std::mismatch(want.begin(), want.end(), got.begin());
      ASSERT_EQ(differ.first - want.begin(), static_cast<ptrdiff_t>(want.size()))
          << "want " << *differ.first << " got " << *differ.second;
      if (testing::Test::HasFailure()) return;
    }
    if (depthwise) return;
    layer.SetLayout(RandomCut(layer, random));
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRandomLayers = 30;  // the definition is some twenty times slower here
#else
constexpr int kRandomLayers = 200;
#endif

TEST(Dot8Panels, SameBitsAsTheDefinitionForRandomLayers) {
  Random random(1);
  for (int i = 0; i < kRandomLayers; ++i) {
    const LayerShape shape = PickShape(random);
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    IntegerCase layer(shape, PickInteger(random), random());
    ExpectSameBits(layer, random);
    if (HasFailure()) return;
  }
}

TEST(Dot8Panels, SameBitsAsTheDefinitionForLayersOfRealNetworks) {
  const graph::Window k3{
      .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  const graph::Window k7{.kernel_h = 7,
                         .kernel_w = 7,
                         .stride_h = 2,
                         .stride_w = 2,
                         .pad_top = 3,
                         .pad_left = 3,
                         .pad_bottom = 3,
                         .pad_right = 3};
  const graph::Window k13{.kernel_h = 13, .kernel_w = 13, .pad_top = 6, .pad_left = 6};
  const LayerShape shapes[] = {
      {.height = 7, .width = 7, .inputs = 160, .outputs = 100, .window = k3},
      {.height = 30, .width = 34, .inputs = 3, .outputs = 64, .window = k7},
      {.height = 14, .width = 15, .inputs = 4, .outputs = 20, .window = k13},
      {.height = 5, .width = 6, .inputs = 2100, .outputs = 33, .window = k3},
      {.images = 2, .height = 5, .width = 6, .inputs = 512, .outputs = 70, .window = k3},
      {.images = 3, .inputs = 9216, .outputs = 130, .window = {}},
      {.kind = OpKind::kDense, .images = 2, .height = 1, .inputs = 25088, .outputs = 80},
      {.kind = OpKind::kDense, .height = 11, .inputs = 301, .outputs = 80},
  };
  Random random(2);
  for (LayerShape shape : shapes) {
    shape.activation.kind = ActivationKind::kRelu;
    SCOPED_TRACE(Describe(shape));
    IntegerCase layer(shape, PickInteger(random), random());
    ExpectSameBits(layer, random);
    if (HasFailure()) return;
  }
}

TEST(Dot8Depthwise, SameBitsAsTheDefinitionForRandomLayers) {
  Random random(3);
  for (int i = 0; i < kRandomLayers; ++i) {
    LayerShape shape;
    shape.window = PickWindow(random, 7);
    const graph::Window& w = shape.window;
    shape.height = std::max(Pick(random, 1, 13), w.dilation_h * (w.kernel_h - 1) + 1);
    shape.width = std::max(Pick(random, 1, 17), w.dilation_w * (w.kernel_w - 1) + 1);
    shape.images = Pick(random, 1, 3);
    shape.inputs = Pick(random, 2, Sometimes(random, 5) ? 600 : 70);
    shape.outputs = shape.groups = shape.inputs;
    shape.activation = PickActivation(random);
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    IntegerCase layer(shape, PickInteger(random), random());
    ExpectSameBits(layer, random);
    if (HasFailure()) return;
  }
}

/// What vpmaddubsw and int16 sums would saturate, and all of K at one end of the range.
TEST(Dot8Panels, SumsAreExactAtTheEndsOfTheRange) {
  Random random(4);
  for (const uint8_t in_zero : {uint8_t{0}, uint8_t{255}}) {
    const LayerShape shape{.height = 3, .width = 5, .inputs = 4096, .outputs = 64};
    IntegerCase layer(shape, {.output = DType::kFloat32, .in_zero = in_zero, .multiplier = 1}, 7);
    ExpectSameBits(layer, random);
  }
}

}  // namespace
}  // namespace coracle::kernels

#include "kernels/simd/depthwise.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "hwy/targets.h"
#include "kernels/simd/panels_case.h"
#include "kernels/simd/panels_rehearsal.h"

namespace coracle::kernels {
namespace {

using graph::ActivationKind;
using graph::Residual;

LayerShape PickShape(Random& random) {
  LayerShape shape;
  graph::Window& w = shape.window;
  const uint32_t square = Pick(random, 0, 3);  // 0: any; 1: 1x1; 2: 3x3; 3: 5x5
  w.kernel_h = square == 0 ? Pick(random, 1, 7) : 2 * square - 1;
  w.kernel_w = square == 0 ? Pick(random, 1, 7) : 2 * square - 1;
  w.stride_h = Pick(random, 1, 2);
  w.stride_w = Pick(random, 1, square == 0 ? 3 : 2);
  if (Sometimes(random, 3)) w.dilation_h = Pick(random, 2, 3);
  if (Sometimes(random, 4)) w.dilation_w = Pick(random, 2, 3);
  const uint32_t span_h = w.dilation_h * (w.kernel_h - 1) + 1;
  const uint32_t span_w = w.dilation_w * (w.kernel_w - 1) + 1;
  w.pad_top = Pick(random, 0, span_h - 1);
  w.pad_bottom = Pick(random, 0, span_h - 1);
  w.pad_left = Pick(random, 0, span_w - 1);
  w.pad_right = Pick(random, 0, span_w - 1);
  shape.height = std::max(Pick(random, 1, 13), span_h);
  shape.width = std::max(Pick(random, 1, 17), span_w);
  shape.images = Pick(random, 1, 3);
  shape.inputs = Pick(random, 2, 70);
  shape.outputs = shape.groups = shape.inputs;
  const graph::Activation activations[] = {{},
                                           {ActivationKind::kRelu},
                                           {ActivationKind::kLeakyRelu, 0.1F},
                                           {ActivationKind::kClip, 0, 6},
                                           {ActivationKind::kAbs}};
  shape.activation = activations[Pick(random, 0, 4)];
  shape.residual =
      Sometimes(random, 2) ? Residual::kNone : static_cast<Residual>(Pick(random, 1, 2));
  return shape;
}

/// A cutting into other runs of 16 channels than the owner's.
graph::WeightLayout RandomCut(const LayerCase& layer, Random& random) {
  graph::WeightLayout layout;
  const graph::Window& w = layer.shape().window;
  const uint32_t blocks = (layer.shape().inputs + 15) / 16;
  for (uint32_t block = 0; block < blocks;) {
    graph::ChunkDescriptor chunk{.kind = graph::ChunkKind::kDepthwise, .panel_begin = block};
    chunk.panel_count = Pick(random, 1, blocks - block);
    chunk.bytes = chunk.panel_count * (w.kernel_h * w.kernel_w + 1) * 64;
    layout.chunks.push_back(chunk);
    block += chunk.panel_count;
  }
  return layout;
}

void ExpectSameBits(PanelKernel kernel, LayerCase& layer, Random& random) {
  const std::vector<float> input = layer.RandomFloats(layer.InputElements(), random());
  const std::vector<float> residual = layer.RandomFloats(layer.OutputElements(), random());
  const std::vector<float> want = layer.Expected(input, residual);
  for (int cut = 0; cut < 2; ++cut) {
    const std::vector<float> got = ComputeInPieces(kernel, layer, input, residual, random);
    const auto differ = std::mismatch(want.begin(), want.end(), got.begin());
    ASSERT_EQ(differ.first - want.begin(), static_cast<ptrdiff_t>(want.size()))
        << "want " << *differ.first << " got " << *differ.second;
    layer.SetLayout(RandomCut(layer, random));
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRandomLayers = 30;  // the definition is some twenty times slower here
#else
constexpr int kRandomLayers = 200;
#endif

class SimdDepthwiseTest : public testing::TestWithParam<int64_t> {};

TEST_P(SimdDepthwiseTest, SameBitsAsTheDefinitionForRandomLayers) {
  Random random(3);
  for (int i = 0; i < kRandomLayers; ++i) {
    const LayerShape shape = PickShape(random);
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    LayerCase layer(shape, random());
    ExpectSameBits(SimdDepthwise(GetParam()), layer, random);
    if (HasFatalFailure()) return;
  }
}

TEST_P(SimdDepthwiseTest, ManyTapsTakeSeveralTables) {
  Random random(4);
  for (const uint32_t kernel : {12U, 25U}) {
    LayerShape shape;
    shape.window = {.kernel_h = kernel, .kernel_w = kernel, .pad_top = 4, .pad_left = 5};
    shape.height = shape.width = 23;
    shape.inputs = shape.outputs = shape.groups = 70;
    shape.activation.kind = ActivationKind::kRelu;
    shape.residual = Residual::kAfterActivation;
    LayerCase layer(shape, random());
    ExpectSameBits(SimdDepthwise(GetParam()), layer, random);
    if (HasFatalFailure()) return;
  }
}

TEST_P(SimdDepthwiseTest, ManyChannelsTakeSeveralSlices) {
  Random random(5);
  LayerShape shape;
  shape.window = {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_left = 1, .pad_right = 1};
  shape.height = shape.width = 5;
  shape.inputs = shape.outputs = shape.groups = 4100;
  LayerCase layer(shape, random());
  ExpectSameBits(SimdDepthwise(GetParam()), layer, random);
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdDepthwiseTest,
                         testing::ValuesIn(DistinctTargets(&SimdDepthwise)),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace coracle::kernels

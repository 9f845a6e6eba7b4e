#include "kernels/simd/panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "hwy/targets.h"
#include "kernels/simd/panels_case.h"
#include "kernels/simd/panels_rehearsal.h"

namespace coracle::kernels {
namespace {

using graph::ActivationKind;
using graph::OpKind;
using graph::Residual;

/// A cutting of the layer's panels that no owner would choose.
graph::WeightLayout RandomCut(const LayerCase& layer, Random& random) {
  graph::WeightLayout layout;
  const uint32_t panels = PanelCount(layer.graph(), layer.node());
  const auto panel_at = [&](uint32_t i) { return PanelAt(layer.graph(), layer.node(), i); };
  for (uint32_t i = 0; i < panels;) {
    const PanelGeometry first = panel_at(i);
    graph::ChunkDescriptor chunk{.panel_begin = i};
    if (first.k_count > 0 && Sometimes(random, 2)) {
      for (uint32_t k = 0; k < first.k_count; k += chunk.k_count) {
        chunk.panel_count = 1;
        chunk.k_begin = k;
        chunk.k_count = Pick(random, 1, std::min(first.k_count - k, 900U));
        chunk.bytes = TextBytes(layer, first, k, chunk.k_count);
        layout.chunks.push_back(chunk);
      }
      ++i;
      continue;
    }
    chunk.k_count = first.k_count;
    const uint32_t most = Pick(random, 1, 5);
    while (i < panels && chunk.panel_count < most && panel_at(i).k_count == first.k_count) {
      const uint32_t bytes = TextBytes(layer, panel_at(i), 0, first.k_count);
      if (chunk.bytes + bytes > graph::kMaxChunkBytes) break;
      chunk.bytes += bytes;
      ++chunk.panel_count;
      ++i;
    }
    if (chunk.panel_count == 0) return layer.node().weights;  // too large for whole panels
    layout.chunks.push_back(chunk);
  }
  return layout;
}

graph::Activation PickActivation(Random& random) {
  switch (Pick(random, 0, 3)) {
    case 0:
      return {};
    case 1:
      return {ActivationKind::kRelu};
    case 2:
      return {ActivationKind::kLeakyRelu, 0.1F};
    default:
      return {ActivationKind::kClip, -0.5F, 2.0F};
  }
}

graph::Window PickWindow(Random& random, uint32_t kernel_max) {
  graph::Window w;
  w.kernel_h = Pick(random, 1, kernel_max);
  w.kernel_w = Pick(random, 1, kernel_max);
  w.stride_h = Pick(random, 1, 3);
  w.stride_w = Pick(random, 1, 3);
  if (Sometimes(random, 3)) w.dilation_h = Pick(random, 2, 3);
  if (Sometimes(random, 3)) w.dilation_w = Pick(random, 2, 3);
  return w;
}

LayerShape PickShape(Random& random) {
  LayerShape shape;
  const uint32_t kind = Pick(random, 0, 5);
  shape.kind = kind < 4 ? OpKind::kConv : kind == 4 ? OpKind::kConvTranspose : OpKind::kDense;
  shape.images = Pick(random, 1, 3);
  shape.window = PickWindow(random, Sometimes(random, 3) ? 1 : 5);
  graph::Window& w = shape.window;
  const uint32_t span_h = w.dilation_h * (w.kernel_h - 1) + 1;
  const uint32_t span_w = w.dilation_w * (w.kernel_w - 1) + 1;
  shape.height = Pick(random, 1, 13);
  shape.width = Pick(random, 1, 17);
  if (shape.kind == OpKind::kConv) {
    w.pad_top = Pick(random, 0, span_h - 1);
    w.pad_bottom = Pick(random, 0, span_h - 1);
    w.pad_left = Pick(random, 0, span_w - 1);
    w.pad_right = Pick(random, 0, span_w - 1);
    shape.height = std::max(shape.height, span_h);
    shape.width = std::max(shape.width, span_w);
  } else if (shape.kind == OpKind::kConvTranspose) {
    w.pad_top = Pick(random, 0, (span_h - 1) / 2);
    w.pad_left = Pick(random, 0, (span_w - 1) / 2);
    w.pad_bottom = Pick(random, 0, (span_h - 1) / 2);
    w.pad_right = Pick(random, 0, (span_w - 1) / 2);
    shape.output_pad = std::min(w.stride_h, w.stride_w) > 1 ? Pick(random, 0, 1) : 0;
  }
  shape.groups = shape.kind != OpKind::kDense && Sometimes(random, 4) ? Pick(random, 2, 3) : 1;
  shape.inputs = shape.groups * (Sometimes(random, 2) ? Pick(random, 1, 5) : Pick(random, 6, 40));
  shape.outputs =
      shape.groups * (Sometimes(random, 3) ? Pick(random, 1, 170) : Pick(random, 1, 70));
  const bool depthwise = shape.groups == shape.inputs && shape.groups == shape.outputs;
  if (depthwise) shape.outputs *= 2;  // the other kernel's
  shape.activation = PickActivation(random);
  shape.weight_type = static_cast<graph::WeightType>(Pick(random, 0, 2));
  shape.residual =
      Sometimes(random, 2) ? Residual::kNone : static_cast<Residual>(Pick(random, 1, 2));
  return shape;
}

void ExpectSameBits(PanelKernel kernel, LayerCase& layer, Random& random) {
  const std::vector<float> input = layer.RandomFloats(layer.InputElements(), random());
  const std::vector<float> residual = layer.RandomFloats(layer.OutputElements(), random());
  for (int cut = 0; cut < 2; ++cut) {
    // Other runs of K are other groups of int4 weights.
    const std::vector<float> want = layer.Expected(input, residual);
    const std::vector<float> got = ComputeInPieces(kernel, layer, input, residual, random);
    const auto differ = std::mismatch(want.begin(), want.end(), got.begin());
    ASSERT_EQ(differ.first - want.begin(), static_cast<ptrdiff_t>(want.size()))
        << "want " << *differ.first << " got " << *differ.second;
    layer.SetLayout(RandomCut(layer, random));
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRandomLayers = 40;  // the definition is some twenty times slower here
#else
constexpr int kRandomLayers = 400;
#endif

class SimdPanelsTest : public testing::TestWithParam<int64_t> {};

TEST_P(SimdPanelsTest, SameBitsAsTheDefinitionForRandomLayers) {
  Random random(1);
  for (int i = 0; i < kRandomLayers; ++i) {
    const LayerShape shape = PickShape(random);
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    LayerCase layer(shape, random());
    ExpectSameBits(SimdPanels(GetParam()), layer, random);
    if (HasFatalFailure()) return;
  }
}

/// Groups of 2, 4 and 8 channels, several to a vector: whole vectors, partial ones, and chunks of
/// many groups, of one, and of a part of one.
TEST_P(SimdPanelsTest, SameBitsAsTheDefinitionForNarrowGroups) {
  Random random(3);
  for (int i = 0; i < kRandomLayers / 8; ++i) {
    LayerShape shape = PickShape(random);
    while (shape.kind != OpKind::kConv) shape = PickShape(random);
    const uint32_t channels = 1U << Pick(random, 1, 3);
    shape.groups = Pick(random, 2, 24);
    shape.inputs = shape.outputs = shape.groups * channels;
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    LayerCase layer(shape, random());
    ExpectSameBits(SimdPanels(GetParam()), layer, random);
    if (HasFatalFailure()) return;
  }
}

TEST_P(SimdPanelsTest, SameBitsAsTheDefinitionForLayersOfRealNetworks) {
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
  const graph::Window k11{.kernel_h = 11,
                          .kernel_w = 11,
                          .stride_h = 4,
                          .stride_w = 4,
                          .pad_top = 2,
                          .pad_left = 2,
                          .pad_bottom = 2,
                          .pad_right = 2};
  const graph::Window k2{.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};
  const LayerShape shapes[] = {
      {.height = 7, .width = 7, .inputs = 160, .outputs = 100, .window = k3},
      {.height = 30, .width = 34, .inputs = 3, .outputs = 64, .window = k7},
      {.height = 40, .width = 45, .inputs = 3, .outputs = 96, .window = k11},
      {.height = 23, .width = 23, .inputs = 17, .outputs = 20, .window = k11},
      {.height = 6, .width = 6, .inputs = 2100, .outputs = 33, .window = k3},
      {.kind = OpKind::kConvTranspose,
       .height = 9,
       .width = 11,
       .inputs = 24,
       .outputs = 24,
       .window = k2},
      {.kind = OpKind::kDense, .inputs = 2048, .outputs = 1000},
      {.kind = OpKind::kDense, .height = 11, .inputs = 300, .outputs = 80},
  };
  Random random(2);
  for (LayerShape shape : shapes) {
    shape.activation.kind = ActivationKind::kRelu;
    SCOPED_TRACE(Describe(shape));
    LayerCase layer(shape, random());
    ExpectSameBits(SimdPanels(GetParam()), layer, random);
    if (HasFatalFailure()) return;
  }
}

/// The fused activation of a layer has the bits of the same function as a node of its own.
TEST(SimdPanels, FusedActivationsHaveTheBitsOfUnfused) {
  Random random(6);
  LayerShape shape{.height = 3, .width = 5, .inputs = 20, .outputs = 77};
  for (const KernelSet* set : AllSimdKernels()) {
    for (uint8_t kind = 0; kind < graph::kActivationKindCount; ++kind) {
      const graph::Activation activation{static_cast<ActivationKind>(kind), 0.3F, 0.7F};
      SCOPED_TRACE(std::string(set->name) + " " + std::string(ActivationName(activation.kind)));
      shape.activation = {};
      const LayerCase plain(shape, 7);
      shape.activation = activation;
      const LayerCase fused(shape, 7);
      const std::vector<float> input = plain.RandomFloats(plain.InputElements(), 8);
      std::vector<float> want = ComputeInPieces(set->panels, plain, input, {}, random);
      graph::Node node;
      node.attrs = graph::Unary{};
      node.activation = activation;
      node.inputs = {plain.node().output};
      node.output = plain.node().output;
      const Rows rows{.base = want.data(),
                      .row_stride = ptrdiff_t{5} * 77,
                      .pixel_stride = 77,
                      .rows = 3,
                      .pixels = 5,
                      .channels = 77};
      const Image image{std::span(&rows, 1), rows};
      RowArgs args;
      args.graph = &plain.graph();
      args.node = &node;
      args.images = std::span(&image, 1);
      set->rows[static_cast<size_t>(OpKind::kUnary)](args, {0, 3});
      const std::vector<float> got = ComputeInPieces(set->panels, fused, input, {}, random);
      EXPECT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdPanelsTest, testing::ValuesIn(DistinctTargets(&SimdPanels)),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace coracle::kernels

#include "kernels/simd/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "hwy/targets.h"
#include "kernels/simd/panels_case.h"
#include "kernels/simd/panels_rehearsal.h"
#include "kernels/winograd.h"

namespace coracle::kernels {
namespace {

using graph::ActivationKind;
using graph::ConvAlgorithm;
using graph::Residual;

graph::Window WindowWithPads(uint32_t top, uint32_t left, uint32_t bottom, uint32_t right) {
  return {.kernel_h = 3,
          .kernel_w = 3,
          .pad_top = top,
          .pad_left = left,
          .pad_bottom = bottom,
          .pad_right = right};
}

LayerShape PickShape(Random& random) {
  LayerShape shape;
  shape.algorithm = Sometimes(random, 2) ? ConvAlgorithm::kWinograd2 : ConvAlgorithm::kWinograd4;
  shape.images = Pick(random, 1, 3);
  shape.height = Pick(random, 3, Sometimes(random, 4) ? 40 : 15);
  shape.width = Pick(random, 3, 17);
  shape.window = WindowWithPads(Pick(random, 0, 2), Pick(random, 0, 2), Pick(random, 0, 2),
                                Pick(random, 0, 2));
  shape.inputs = 16 * (Sometimes(random, 4) ? Pick(random, 1, 20) : Pick(random, 1, 6));
  shape.outputs = Pick(random, 1, 170);
  shape.weight_type = static_cast<graph::WeightType>(Pick(random, 0, 2));
  switch (Pick(random, 0, 3)) {
    case 0:
      break;
    case 1:
      shape.activation.kind = ActivationKind::kRelu;
      break;
    case 2:
      shape.activation = {ActivationKind::kLeakyRelu, 0.1F};
      break;
    default:
      shape.activation = {ActivationKind::kAbs};  // through a stage
  }
  shape.residual =
      Sometimes(random, 2) ? Residual::kNone : static_cast<Residual>(Pick(random, 1, 2));
  return shape;
}

/// Runs of input channels that no owner would choose.
graph::WeightLayout RandomCut(const LayerCase& layer, Random& random) {
  graph::WeightLayout layout;
  constexpr uint32_t kGranule = kWinogradRunRows;
  const uint32_t most =
      WinogradInputsMax(layer.graph(), layer.node()) / graph::kWinogradInputChannels;
  for (uint32_t i = 0; i < PanelCount(layer.graph(), layer.node()); ++i) {
    const PanelGeometry panel = PanelAt(layer.graph(), layer.node(), i);
    graph::ChunkDescriptor chunk{.panel_begin = i, .panel_count = 1};
    for (uint32_t k = 0; k < panel.k_count; k += chunk.k_count) {
      chunk.k_begin = k;
      chunk.k_count = Pick(random, 1, std::min((panel.k_count - k) / kGranule, most)) * kGranule;
      chunk.bytes = TextBytes(layer, panel, k, chunk.k_count);
      layout.chunks.push_back(chunk);
    }
  }
  return layout;
}

/// Largest difference as a share of the largest magnitude.
double RelativeError(const std::vector<float>& want, const std::vector<float>& got) {
  double largest = 0;
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(double{want[i]}));
    const double difference = std::abs(double{want[i]} - got[i]);
    worst = difference <= worst ? worst : difference;  // NaN stays
  }
  return worst / largest;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRandomLayers = 20;
#else
constexpr int kRandomLayers = 120;
#endif

class SimdWinogradTest : public testing::TestWithParam<int64_t> {};

TEST_P(SimdWinogradTest, AgreesWithTheDefinitionWhateverThePieces) {
  Random random(1);
  for (int i = 0; i < kRandomLayers; ++i) {
    const LayerShape shape = PickShape(random);
    SCOPED_TRACE(std::to_string(i) + ": " + Describe(shape));
    LayerCase layer(shape, random());
    if (i % 3 == 0) layer.SetLayout(RandomCut(layer, random));
    const std::vector<float> input = layer.RandomFloats(layer.InputElements(), random());
    const std::vector<float> residual = layer.RandomFloats(layer.OutputElements(), random());
    const PanelKernel kernel = SimdWinograd(GetParam());
    const auto once = ComputeInPieces(kernel, layer, input, residual, random);
    // Sums of at most 9 * 320 products of numbers in [-1, 1].
    EXPECT_LT(RelativeError(layer.Expected(input, residual), once), 3e-5);
    const auto again = ComputeInPieces(kernel, layer, input, residual, random);
    ASSERT_EQ(std::memcmp(once.data(), again.data(), once.size() * sizeof(float)), 0);
    const auto best = ComputeInPieces(SimdKernels().winograd, layer, input, residual, random);
    ASSERT_EQ(std::memcmp(once.data(), best.data(), once.size() * sizeof(float)), 0)
        << "targets differ";
    if (HasFailure()) return;
  }
}

TEST(ReferenceWinograd, ReadsTheSameChunks) {
  Random random(4);
  for (int i = 0; i < 10; ++i) {
    LayerShape shape = PickShape(random);
    shape.inputs = std::min(shape.inputs, 48U);
    SCOPED_TRACE(Describe(shape));
    LayerCase layer(shape, random());
    layer.SetLayout(RandomCut(layer, random));
    const std::vector<float> input = layer.RandomFloats(layer.InputElements(), random());
    const std::vector<float> residual = layer.RandomFloats(layer.OutputElements(), random());
    const auto got = ComputeInPieces(ReferenceKernels().winograd, layer, input, residual, random);
    EXPECT_LT(RelativeError(layer.Expected(input, residual), got), 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdWinogradTest,
                         testing::ValuesIn(DistinctTargets(&SimdWinograd)),
                         [](const auto& info) { return std::string(hwy::TargetName(info.param)); });

}  // namespace
}  // namespace coracle::kernels

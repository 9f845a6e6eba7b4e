// The reference panel and depthwise kernels, which read packed chunks, against the definition of
// the operators, which reads the owner's weights.
#include <vector>

#include "gtest/gtest.h"
#include "kernels/simd/panels_rehearsal.h"

namespace coracle::kernels {
namespace {

using graph::OpKind;

void ExpectTheDefinition(const LayerShape& shape, PanelKernel kernel) {
  SCOPED_TRACE(Describe(shape));
  Random random(7);
  const LayerCase layer(shape, 7);
  const std::vector<float> input = layer.RandomFloats(layer.InputElements(), 8);
  const std::vector<float> residual = layer.RandomFloats(layer.OutputElements(), 9);
  const std::vector<float> want = layer.Expected(input, residual);
  EXPECT_EQ(ComputeInPieces(kernel, layer, input, residual, random), want);
}

TEST(ReferencePanels, FollowTheDefinition) {
  const graph::Window k3{.kernel_h = 3,
                         .kernel_w = 2,
                         .stride_h = 2,
                         .dilation_w = 2,
                         .pad_top = 1,
                         .pad_left = 1,
                         .pad_bottom = 1};
  const graph::Window k4{.kernel_h = 4, .kernel_w = 3, .stride_h = 2, .stride_w = 3, .pad_top = 1};
  const LayerShape shapes[] = {
      {.height = 7, .width = 6, .inputs = 5, .outputs = 70, .window = k3},
      {.images = 2, .height = 5, .width = 5, .inputs = 8, .outputs = 6, .groups = 2, .window = k3},
      {.height = 4,
       .width = 3,
       .inputs = 300,
       .outputs = 130,
       .window = k3,
       .residual = graph::Residual::kBeforeActivation},
      {.kind = OpKind::kConvTranspose,
       .height = 4,
       .width = 5,
       .inputs = 6,
       .outputs = 20,
       .groups = 2,
       .window = k4,
       .residual = graph::Residual::kAfterActivation},
      {.kind = OpKind::kDense, .height = 3, .inputs = 700, .outputs = 200},
  };
  for (LayerShape shape : shapes) {
    shape.activation.kind = graph::ActivationKind::kRelu;
    ExpectTheDefinition(shape, ReferenceKernels().panels);
  }
}

TEST(ReferenceDepthwise, FollowsTheDefinition) {
  const graph::Window k3{
      .kernel_h = 3, .kernel_w = 3, .stride_w = 2, .pad_top = 1, .pad_left = 1, .pad_right = 1};
  ExpectTheDefinition(
      {.height = 6, .width = 7, .inputs = 37, .outputs = 37, .groups = 37, .window = k3},
      ReferenceKernels().depthwise);
}

}  // namespace
}  // namespace coracle::kernels

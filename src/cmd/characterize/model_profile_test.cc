#include "cmd/characterize/model_profile.h"

#include <gtest/gtest.h>

#include "plan/test_networks.h"

namespace coracle::cmd {
namespace {

const LayerProfile& Titled(const ModelProfile& profile, const std::string& title) {
  for (const LayerProfile& layer : profile.layers) {
    if (layer.title == title) return layer;
  }
  ADD_FAILURE() << "no layer " << title;
  return profile.layers.front();
}

TEST(ModelProfile, OfVgg16HasItsPapersNamesAndSizes) {
  const ModelProfile profile = ProfileOf(plan::MakeVgg16(), "vgg16.onnx");
  EXPECT_EQ(profile.input_bytes, 3u * 224 * 224 * 4);
  const LayerProfile& first = Titled(profile, "convolution 1 (conv1_1)");
  EXPECT_EQ(first.weights_bytes, 64u * 27 * 4);
  EXPECT_EQ(first.output_bytes, 64u * 224 * 224 * 4);
  const LayerProfile& second = Titled(profile, "convolution 2 (conv1_2)");
  EXPECT_EQ(second.shape, "3x3x64 at 224x224");
  EXPECT_EQ(second.im2col_bytes, uint64_t{9 * 64} * 224 * 224 * 4);
  EXPECT_EQ(profile.LargestIm2col(), &second);
  const LayerProfile& fc6 = Titled(profile, "connected layer 1 (fc6)");
  EXPECT_EQ(fc6.weights_bytes, uint64_t{25088} * 4096 * 4);
  EXPECT_EQ(fc6.bias_bytes, 4096u * 4);
  EXPECT_EQ(fc6.im2col_bytes, 0u);
  EXPECT_GT(profile.WeightsBytes(), uint64_t{500} << 20);
}

TEST(ModelProfile, OtherNetworksKeepTheirOwnNames) {
  plan::NetworkBuilder builder;
  const auto input = builder.Input({1, 8, 8, 16});
  builder.Output(builder.Dense(builder.GlobalPool(builder.Conv(input, 32, 1)), 10));
  const graph::Graph graph = builder.Finish();
  const ModelProfile profile = ProfileOf(graph, "small");
  const LayerProfile& conv = profile.layers.front();
  EXPECT_EQ(conv.title, "convolution 1 (" + graph.nodes.front().name + ")");
  EXPECT_EQ(conv.im2col_bytes, 16u * 8 * 8 * 4);
  EXPECT_EQ(conv.input_bytes, 16u * 8 * 8 * 4);
  EXPECT_EQ(conv.output_bytes, 32u * 8 * 8 * 4);
  EXPECT_EQ(ProfileJson(profile).size(), graph.nodes.size());
}

}  // namespace
}  // namespace coracle::cmd

#include "import/onnx/emit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using graph::OpKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// One node on an input `x`, with constants.
class OneNode {
 public:
  OneNode(const std::string& type, const std::vector<int64_t>& dims, int64_t opset = 13)
      : model_(opset), type_(type) {
    model_.Input("x", dims);
    inputs_.push_back("x");
  }
  OneNode& Floats(const std::vector<int64_t>& dims, float value = 1) {
    size_t count = 1;
    for (const int64_t dim : dims) count *= static_cast<size_t>(dim);
    inputs_.push_back(fmt::format("c{}", inputs_.size()));
    model_.Floats(inputs_.back(), dims, std::vector<float>(count, value));
    return *this;
  }
  OneNode& Ints(const std::vector<int64_t>& values) {
    inputs_.push_back(fmt::format("c{}", inputs_.size()));
    model_.Ints(inputs_.back(), values);
    return *this;
  }
  OneNode& Absent() {
    inputs_.push_back("");
    return *this;
  }
  onnx::NodeProto& attributes() { return attributes_; }
  Result<ImportedModel> Import() {
    TestModel model = model_;
    onnx::NodeProto& node = model.Node(type_, inputs_, {"y"});
    node.mutable_attribute()->CopyFrom(attributes_.attribute());
    model.Output("y");
    return model.Import();
  }
  graph::Graph Graph() {
    Result<ImportedModel> result = Import();
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return result.ok() ? (*std::move(result)).graph : graph::Graph{};
  }
  Shape OutputShape() {
    const graph::Graph graph = Graph();
    return graph.outputs.empty() ? Shape{} : graph.outputs[0].shape;
  }
  std::string Refusal() {
    const Result<ImportedModel> result = Import();
    return result.ok() ? "was not refused" : result.error().message;
  }

 private:
  TestModel model_;
  std::string type_;
  std::vector<std::string> inputs_;
  onnx::NodeProto attributes_;
};

std::vector<OpKind> KindsOf(const graph::Graph& graph) {
  std::vector<OpKind> kinds;
  for (const graph::Node& node : graph.nodes) kinds.push_back(node.kind());
  return kinds;
}

TEST(EmitConv, ResolvesAutoPad) {
  OneNode conv("Conv", {1, 2, 5, 6});
  conv.Floats({4, 2, 3, 4});
  SetString(conv.attributes(), "auto_pad", "SAME_LOWER");
  SetInts(conv.attributes(), "strides", {2, 2});
  const graph::Graph graph = conv.Graph();
  ASSERT_EQ(KindsOf(graph), std::vector{OpKind::kConv});
  const graph::Window& window = std::get<graph::Conv>(graph.nodes[0].attrs).window;
  EXPECT_EQ(window.pad_top, 1U);
  EXPECT_EQ(window.pad_bottom, 1U);
  EXPECT_EQ(window.pad_left, 1U);
  EXPECT_EQ(window.pad_right, 1U);
  EXPECT_EQ(graph.outputs[0].shape, Shape({1, 4, 3, 3}));
}

TEST(EmitConv, TakesRowsAsImages) {
  OneNode conv("Conv", {1, 2, 10});
  conv.Floats({4, 2, 3}).Floats({4});
  const graph::Graph graph = conv.Graph();
  EXPECT_THAT(KindsOf(graph), ElementsAre(OpKind::kReshape, OpKind::kConv, OpKind::kReshape));
  EXPECT_EQ(graph.outputs[0].shape, Shape({1, 4, 8}));
}

TEST(EmitConv, RefusesWhatDoesNotFit) {
  EXPECT_THAT(OneNode("Conv", {1, 3, 5, 5}).Floats({4, 2, 3, 3}).Refusal(),
              HasSubstr("does not fit 3 input channels"));
  EXPECT_THAT(OneNode("Conv", {1, 2, 5, 5}).Floats({4, 2, 3, 3}).Floats({3}).Refusal(),
              HasSubstr("bias has 3 values for 4 channels"));
  EXPECT_THAT(OneNode("Conv", {1, 2, 2, 2}).Floats({4, 2, 3, 3}).Refusal(), HasSubstr("window"));
  EXPECT_THAT(OneNode("Conv", {1, 2, 5, 5, 5}).Floats({4, 2, 3, 3, 3}).Refusal(),
              HasSubstr("only N,C,H,W and N,C,W"));
}

TEST(EmitConvTranspose, OutputShapeBecomesPads) {
  OneNode conv("ConvTranspose", {1, 1, 3, 3});
  conv.Floats({1, 2, 3, 3});
  SetInts(conv.attributes(), "strides", {3, 2});
  SetInts(conv.attributes(), "output_shape", {10, 8});
  const graph::Graph graph = conv.Graph();
  EXPECT_EQ(graph.outputs.at(0).shape, Shape({1, 2, 10, 8}));
}

TEST(EmitPool, CeilModeIsOnnxruntimes) {
  const auto length = [](int64_t in, int64_t kernel, int64_t stride, int64_t pad) {
    OneNode pool("MaxPool", {1, 1, in, in});
    SetInts(pool.attributes(), "kernel_shape", {kernel, kernel});
    SetInts(pool.attributes(), "strides", {stride, stride});
    SetInts(pool.attributes(), "pads", {pad, pad, pad, pad});
    SetInt(pool.attributes(), "ceil_mode", 1);
    return pool.OutputShape()[2];
  };
  EXPECT_EQ(length(4, 3, 2, 0), 2U);
  EXPECT_EQ(length(113, 3, 2, 0), 56U);
  EXPECT_EQ(length(112, 3, 2, 0), 56U);  // floor mode: 55
  EXPECT_EQ(length(3, 2, 3, 1), 2U);
  EXPECT_EQ(length(2, 2, 3, 1), 1U);  // a second window would start behind the image
}

TEST(EmitDense, MatMulAndGemm) {
  const graph::Graph matmul = OneNode("MatMul", {2, 5, 3}).Floats({3, 4}).Graph();
  ASSERT_EQ(KindsOf(matmul), std::vector{OpKind::kDense});
  EXPECT_EQ(matmul.outputs[0].shape, Shape({2, 5, 4}));
  EXPECT_EQ(OneNode("MatMul", {3}).Floats({3, 4}).OutputShape(), Shape({4}));
  EXPECT_EQ(OneNode("MatMul", {2, 3}).Floats({3}).OutputShape(), Shape({2}));
  EXPECT_EQ(OneNode("MatMul", {2, 3}).Floats({1, 3, 4}).OutputShape(), Shape({1, 2, 4}));

  OneNode gemm("Gemm", {2, 3});
  gemm.Floats({4, 3}).Floats({4}, 3);
  SetInt(gemm.attributes(), "transB", 1);
  SetFloat(gemm.attributes(), "alpha", 2);
  SetFloat(gemm.attributes(), "beta", 0.5F);
  const graph::Graph graph = gemm.Graph();
  ASSERT_EQ(KindsOf(graph), std::vector{OpKind::kDense});
  EXPECT_THAT(graph.nodes[0].source->scale, ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(graph.nodes[0].source->bias, ElementsAre(1.5, 1.5, 1.5, 1.5));
  EXPECT_EQ(graph.nodes[0].source->dense_order, graph::DenseOrder::kOutputsByInputs);
  EXPECT_THAT(OneNode("MatMul", {2, 3}).Floats({4, 4}).Refusal(), HasSubstr("do not match"));
}

TEST(EmitNormalization, BatchNormIsAffine) {
  OneNode norm("BatchNormalization", {1, 2, 3, 3});
  norm.Floats({2}, 3).Floats({2}, 1).Floats({2}, 5).Floats({2}, 4);
  SetFloat(norm.attributes(), "epsilon", 0);
  const graph::Graph graph = norm.Graph();
  ASSERT_EQ(KindsOf(graph), std::vector{OpKind::kAffine});
  EXPECT_THAT(graph.nodes[0].source->scale, ElementsAre(1.5, 1.5));
  EXPECT_THAT(graph.nodes[0].source->bias, ElementsAre(-6.5, -6.5));
}

TEST(EmitNormalization, SoftmaxBefore13TakesAllBehindItsAxis) {
  EXPECT_THAT(KindsOf(OneNode("Softmax", {2, 3, 4}, 11).Graph()),
              ElementsAre(OpKind::kReshape, OpKind::kSoftmax, OpKind::kReshape));
  EXPECT_THAT(KindsOf(OneNode("Softmax", {2, 3, 1, 1}, 11).Graph()), ElementsAre(OpKind::kSoftmax));
  const graph::Graph graph = OneNode("Softmax", {2, 3, 4}, 13).Graph();
  EXPECT_EQ(std::get<graph::Softmax>(graph.nodes.at(0).attrs).axis, 2U);
}

TEST(EmitElementwise, ClipInBothForms) {
  OneNode six("Clip", {4}, 6);
  SetFloat(six.attributes(), "min", 0);
  SetFloat(six.attributes(), "max", 6);
  EXPECT_EQ(six.Graph().nodes.at(0).activation,
            (graph::Activation{graph::ActivationKind::kClip, 0, 6}));
  OneNode relu("Clip", {4});
  relu.Floats({}, 0);
  EXPECT_EQ(relu.Graph().nodes.at(0).activation.kind, graph::ActivationKind::kRelu);
  OneNode upper("Clip", {4});
  upper.Absent().Floats({}, 6);
  EXPECT_EQ(upper.Graph().nodes.at(0).activation.b, 6);
}

TEST(EmitElementwise, PReluPerChannelInParts) {
  EXPECT_EQ(OneNode("PRelu", {1, 2, 3, 3}).Floats({1}, 0.25F).Graph().nodes.size(), 1U);
  EXPECT_EQ(OneNode("PRelu", {1, 2, 3, 3}).Floats({2, 1, 1}, 0.25F).Graph().nodes.size(), 4U);
}

TEST(EmitLayout, SlicesPadsAndGathers) {
  OneNode slice("Slice", {1, 8});
  slice.Ints({-1}).Ints({-100}).Ints({1}).Ints({-3});
  const graph::Graph reversed = slice.Graph();
  EXPECT_THAT(std::get<graph::Slice>(reversed.nodes.at(0).attrs).starts, ElementsAre(0, 7));
  EXPECT_EQ(reversed.outputs[0].shape, Shape({1, 3}));

  OneNode pad("Pad", {1, 1, 4, 4});
  pad.Ints({0, 0, -1, 2, 0, 0, 0, 1}).Floats({}, 7);
  const graph::Graph padded = pad.Graph();
  EXPECT_THAT(KindsOf(padded), ElementsAre(OpKind::kSlice, OpKind::kPad));
  EXPECT_EQ(padded.outputs[0].shape, Shape({1, 1, 3, 7}));

  OneNode gather("Gather", {2, 10});
  gather.Ints({1, 3, 5, 9});
  SetInt(gather.attributes(), "axis", 1);
  EXPECT_THAT(KindsOf(gather.Graph()),
              ElementsAre(OpKind::kSlice, OpKind::kSlice, OpKind::kConcat));
  OneNode outside("Gather", {2, 10});
  EXPECT_THAT(outside.Ints({2}).Refusal(), HasSubstr("axis 2"));
}

TEST(EmitLayout, ReshapesAndExpands) {
  EXPECT_EQ(OneNode("Reshape", {2, 3, 4}).Ints({0, -1}).OutputShape(), Shape({2, 12}));
  EXPECT_THAT(OneNode("Reshape", {2, 3, 4}).Ints({5, -1}).Refusal(), HasSubstr("does not divide"));
  EXPECT_THAT(OneNode("Reshape", {2, 3}).Ints({1, 1, 1, 1, 1, 1, 1, 1, 6}).Refusal(),
              HasSubstr("rank 9"));
  EXPECT_EQ(OneNode("Expand", {3, 1}).Ints({2, 1, 4}).OutputShape(), Shape({2, 3, 4}));
  OneNode depth("DepthToSpace", {1, 8, 2, 3});
  SetInt(depth.attributes(), "blocksize", 2);
  EXPECT_EQ(depth.OutputShape(), Shape({1, 2, 4, 6}));
}

TEST(EmitResize, ScalesAndSizes) {
  OneNode sizes("Resize", {1, 2, 4, 4});
  sizes.Absent().Absent().Ints({1, 2, 7, 3});
  SetString(sizes.attributes(), "mode", "linear");
  SetString(sizes.attributes(), "coordinate_transformation_mode", "align_corners");
  const graph::Graph graph = sizes.Graph();
  const auto& resize = std::get<graph::Resize>(graph.nodes.at(0).attrs);
  EXPECT_EQ(resize.scale_h, 1.75F);
  EXPECT_EQ(resize.coordinates, graph::ResizeCoordinates::kAlignCorners);
  OneNode old("Upsample", {1, 2, 4, 4}, 9);
  old.Floats({4}, 1);
  EXPECT_EQ(old.Graph().outputs.at(0).shape, Shape({1, 2, 4, 4}));
  OneNode cubic("Resize", {1, 2, 4, 4});
  cubic.Absent().Floats({4}, 1);
  SetString(cubic.attributes(), "mode", "cubic");
  EXPECT_THAT(cubic.Refusal(), HasSubstr("neither nearest nor linear"));
  OneNode channels("Resize", {1, 2, 4, 4});
  channels.Absent().Floats({4}, 2);
  EXPECT_THAT(channels.Refusal(), HasSubstr("only the axes after N and C"));
}

TEST(Emit, AttributesOfTheWrongTypeAreRefused) {
  OneNode softmax("Softmax", {2, 3});
  SetString(softmax.attributes(), "axis", "last");
  EXPECT_THAT(softmax.Refusal(), HasSubstr("attribute 'axis' has the wrong type"));
}

}  // namespace
}  // namespace coracle::import

#include "import/darknet/darknet_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace coracle::import {
namespace {

using graph::OpKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kNet[] = "[net]\nwidth=8\nheight=6\nchannels=3\n";

/// A weights file: header of version 0.2.0, then the values.
std::vector<float> WeightsFile(const std::vector<float>& values, int32_t minor = 2) {
  const int32_t header[5] = {0, minor, 0, 0, 0};
  std::vector<float> file(5 + values.size());
  std::memcpy(file.data(), header, sizeof(header));
  std::copy(values.begin(), values.end(), file.begin() + 5);
  return file;
}

Result<ImportedModel> ImportWith(const std::string& cfg, const std::vector<float>& file,
                                 const DarknetOptions& options = {}) {
  const auto owner = std::make_shared<const std::vector<float>>(file);
  return ImportDarknetBytes(cfg, std::as_bytes(std::span(*owner)), owner, options);
}

/// With as many weights of 0.5 as `cfg` needs.
Result<ImportedModel> Import(const std::string& cfg, const DarknetOptions& options = {}) {
  TRY_ASSIGN(const uint64_t bytes, DarknetWeightsBytes(cfg));
  return ImportWith(cfg, WeightsFile(std::vector<float>(bytes / 4, .5F)), options);
}

graph::Graph GraphOf(const std::string& cfg, const DarknetOptions& options = {}) {
  Result<ImportedModel> result = Import(cfg, options);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? (*std::move(result)).graph : graph::Graph{};
}

std::string Refusal(const std::string& cfg) {
  const Result<ImportedModel> result = Import(cfg);
  return result.ok() ? "was not refused" : result.error().message;
}

std::vector<OpKind> KindsOf(const graph::Graph& graph) {
  std::vector<OpKind> kinds;
  for (const graph::Node& node : graph.nodes) kinds.push_back(node.kind());
  return kinds;
}

std::vector<float> FloatsOf(const graph::Constant& constant) {
  std::vector<float> values(constant.bytes.size() / 4);
  std::memcpy(values.data(), constant.bytes.data(), constant.bytes.size());
  return values;
}

TEST(DarknetImport, FoldsBatchNormAsNormalizeCpuHasIt) {
  const std::string cfg =
      std::string("[net]\nwidth=2\nheight=2\nchannels=1\n") +
      "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\nactivation=leaky\n";
  // biases, scales, means, variances, weights
  const auto model = ImportWith(cfg, WeightsFile({1, 2, 3, 4, 5, 6, 4, 0, 10, 20}));
  ASSERT_TRUE(model.ok()) << model.error().message;
  const graph::Node& conv = model->graph.nodes.at(0);
  EXPECT_EQ(conv.activation, (graph::Activation{graph::ActivationKind::kLeakyRelu, .1F, 0}));
  EXPECT_THAT(FloatsOf(*conv.source->weight), ElementsAre(10, 20));
  EXPECT_FLOAT_EQ(conv.source->scale[0], 3 / (2 + .000001F));
  EXPECT_FLOAT_EQ(conv.source->scale[1], 4 / .000001F);
  EXPECT_FLOAT_EQ(conv.source->bias[0], 1 - 5 * 3 / (2 + .000001F));
  EXPECT_EQ(model->graph.inputs[0].name, "input");
  EXPECT_EQ(model->graph.outputs[0].name, "convolutional_0");
}

TEST(DarknetImport, ChecksTheSizeOfTheWeights) {
  const std::string cfg = std::string(kNet) + "[conv]\nfilters=2\nsize=3\npad=1\n";
  const std::vector<float> exact(2 + 2 * 27, .5F);
  EXPECT_TRUE(ImportWith(cfg, WeightsFile(exact)).ok());
  std::vector<float> file = WeightsFile(exact);
  file.pop_back();
  EXPECT_THAT(ImportWith(cfg, file).error().message,
              HasSubstr("weights: 240 bytes, but the cfg needs 244"));
  file.resize(file.size() + 2);
  EXPECT_THAT(ImportWith(cfg, file).error().message, HasSubstr("needs only 244"));
  EXPECT_TRUE(ImportWith(cfg, file, {{}, TrailingWeights::kIgnore}).ok());
  EXPECT_FALSE(ImportWith(cfg, {0, 0}).ok());
  EXPECT_FALSE(ImportWith(cfg, {}).ok());
  // Version 0.1: the image counter has 32 bits.
  std::vector<float> old = WeightsFile(exact, 1);
  old.erase(old.begin() + 4);
  EXPECT_TRUE(ImportWith(cfg, old).ok());
}

TEST(DarknetImport, ConnectedLayersFlattenAndOldFilesAreTransposed) {
  const std::string cfg = std::string(kNet) + "[connected]\noutput=2\nactivation=relu\n";
  const std::vector<float> values(2 + 2 * 144, .5F);
  const auto model = ImportWith(cfg, WeightsFile(values));
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->graph.nodes.at(1).source->dense_order, graph::DenseOrder::kOutputsByInputs);
  EXPECT_EQ(model->graph.outputs[0].shape, Shape({1, 2, 1, 1}));
  std::vector<float> turned = WeightsFile(values, 1001);
  turned.erase(turned.begin() + 4);
  const auto old = ImportWith(cfg, turned);
  ASSERT_TRUE(old.ok()) << old.error().message;
  EXPECT_EQ(old->graph.nodes.at(1).source->dense_order, graph::DenseOrder::kInputsByOutputs);
}

TEST(DarknetImport, MaxPoolPadsAsDarknet) {
  const auto window = [](const std::string& options) {
    const graph::Graph graph = GraphOf(std::string(kNet) + "[maxpool]\n" + options);
    return std::pair(std::get<graph::Pool>(graph.nodes.at(0).attrs).window,
                     graph.outputs.at(0).shape);
  };
  const auto [two, two_shape] = window("size=2\nstride=1\n");
  EXPECT_EQ(two_shape, Shape({1, 3, 6, 8}));
  EXPECT_EQ(two.pad_top, 0U);
  EXPECT_EQ(two.pad_bottom, 1U);
  const auto [three, three_shape] = window("size=3\nstride=2\n");
  EXPECT_EQ(three_shape, Shape({1, 3, 3, 4}));
  EXPECT_EQ(three.pad_left, 1U);
  EXPECT_EQ(window("size=2\nstride=2\npadding=0\n").second, Shape({1, 3, 3, 4}));
}

TEST(DarknetImport, RoutesAndShortcuts) {
  const std::string conv = "[conv]\nfilters=4\nsize=1\nactivation=linear\n";
  const graph::Graph route = GraphOf(kNet + conv + conv + "[route]\nlayers=-1,0\n");
  EXPECT_EQ(route.outputs.at(0).shape, Shape({1, 8, 6, 8}));
  const graph::Graph group = GraphOf(kNet + conv + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n");
  EXPECT_EQ(std::get<graph::Slice>(group.nodes.at(1).attrs).starts[1], 2);
  EXPECT_EQ(group.outputs.at(0).shape, Shape({1, 2, 6, 8}));
  const graph::Graph sum = GraphOf(kNet + conv + conv + "[shortcut]\nfrom=-2\nactivation=leaky\n");
  EXPECT_EQ(sum.nodes.at(2).kind(), OpKind::kBinary);
  EXPECT_EQ(sum.nodes.at(2).activation.kind, graph::ActivationKind::kLeakyRelu);
  EXPECT_THAT(Refusal(kNet + conv + "[route]\nlayers=-2\n"), HasSubstr("does not precede it"));
  EXPECT_THAT(Refusal(kNet + conv + "[route]\nlayers=1\n"), HasSubstr("does not precede it"));
  EXPECT_THAT(Refusal(kNet + conv + "[route]\n"), HasSubstr("needs the option layers"));
}

TEST(DarknetImport, ShortcutsOfOtherSizesTakeTheCommonPart) {
  const graph::Graph graph = GraphOf(std::string(kNet) +
                                     "[conv]\nfilters=4\nsize=1\n"
                                     "[conv]\nfilters=6\nsize=1\nstride=2\n"
                                     "[shortcut]\nfrom=0\n");
  EXPECT_THAT(KindsOf(graph), ElementsAre(OpKind::kConv, OpKind::kConv, OpKind::kSlice,
                                          OpKind::kPad, OpKind::kBinary));
  EXPECT_THAT(std::get<graph::Slice>(graph.nodes[2].attrs).steps, ElementsAre(1, 1, 2, 2));
  EXPECT_EQ(graph.outputs.at(0).shape, Shape({1, 6, 3, 4}));
}

TEST(DarknetImport, PlainLayers) {
  const graph::Graph graph = GraphOf(std::string(kNet) +
                                     "[crop]\ncrop_width=4\ncrop_height=4\n"
                                     "[upsample]\nstride=2\n[dropout]\n[avgpool]\n[softmax]\n"
                                     "[cost]\n");
  EXPECT_THAT(KindsOf(graph), ElementsAre(OpKind::kSlice, OpKind::kAffine, OpKind::kResize,
                                          OpKind::kReduce, OpKind::kSoftmax));
  EXPECT_THAT(std::get<graph::Slice>(graph.nodes[0].attrs).starts, ElementsAre(0, 0, 1, 2));
  EXPECT_THAT(graph.nodes[1].source->scale, ElementsAre(2, 2, 2));
  EXPECT_EQ(graph.outputs.at(0).name, "softmax_4") << "cost is no output";
  const graph::Graph grouped = GraphOf(std::string(kNet) + "[softmax]\ngroups=2\ntemperature=3\n");
  EXPECT_EQ(grouped.outputs.at(0).shape, Shape({1, 144, 1, 1}));
}

TEST(DarknetImport, YoloHeadsAreOutputsWithTheirAnchors) {
  const std::string head =
      "[conv]\nfilters=14\nsize=1\nactivation=linear\n"
      "[yolo]\nmask=1,2\nclasses=2\nnum=3\nanchors=10,13, 16,30, 33,23\n";
  const auto model =
      Import(kNet + head + "[route]\nlayers=-2\n" + head, {.extra_output_layers = {0}});
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->decode_json,
            "{\"kind\": \"yolo\", \"net_width\": 8, \"net_height\": 6, \"heads\": [{\"output\": "
            "\"yolo_1\", \"classes\": 2, \"anchors\": [[16, 30], [33, 23]]}, {\"output\": "
            "\"yolo_4\", \"classes\": 2, \"anchors\": [[16, 30], [33, 23]]}]}");
  ASSERT_EQ(model->graph.outputs.size(), 3U);
  EXPECT_EQ(model->graph.outputs[0].name, "yolo_1");
  EXPECT_EQ(model->graph.outputs[2].name, "layer_0");
  EXPECT_FALSE(Import(kNet + head, {.extra_output_layers = {9}}).ok());
  EXPECT_THAT(Refusal(std::string(kNet) + "[yolo]\nclasses=2\n"), HasSubstr("need 7 channels"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[yolo]\nclasses=2\nmask=1\n"),
              HasSubstr("mask 1 is no anchor"));
}

TEST(DarknetImport, RegionAndDetectionHeads) {
  const auto region = Import(std::string(kNet) +
                             "[conv]\nfilters=14\nsize=1\nactivation=linear\n"
                             "[region]\nclasses=2\nnum=2\ncoords=4\nsoftmax=1\nanchors=1,2,3,4\n");
  ASSERT_TRUE(region.ok()) << region.error().message;
  EXPECT_THAT(region->decode_json, HasSubstr("\"anchors\": [[1, 2], [3, 4]]"));
  const auto detection =
      Import(std::string(kNet) +
             "[connected]\noutput=28\nactivation=linear\n"
             "[detection]\nclasses=2\ncoords=4\nside=2\nnum=1\nsoftmax=1\nsqrt=1\n");
  ASSERT_TRUE(detection.ok()) << detection.error().message;
  EXPECT_THAT(detection->decode_json, HasSubstr("\"side\": 2, \"boxes\": 1, \"sqrt\": 1"));
  EXPECT_EQ(detection->graph.outputs[0].shape, Shape({1, 28, 1, 1}));
}

/// Parts lie in the file as load_weights_upto reads them; those that meet a state of zeros only
/// give their biases.
TEST(DarknetImport, RecurrentLayersTakeTheirFirstStep) {
  // wz, wr, wh, uz, ur, uh: a bias and a weight each.
  const auto gru = ImportWith("[net]\ninputs=1\n[gru]\noutput=1\ntanh=1\n",
                              WeightsFile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  ASSERT_TRUE(gru.ok()) << gru.error().message;
  std::vector<const graph::Node*> dense;
  for (const graph::Node& node : gru->graph.nodes) {
    if (node.kind() == OpKind::kDense) dense.push_back(&node);
  }
  ASSERT_EQ(dense.size(), 2U);
  EXPECT_THAT(dense[0]->source->bias, ElementsAre(7 + 1));
  EXPECT_THAT(FloatsOf(*dense[0]->source->weight), ElementsAre(8));
  EXPECT_THAT(dense[1]->source->bias, ElementsAre(11 + 5));
  EXPECT_EQ(dense[1]->activation.kind, graph::ActivationKind::kTanh);
  EXPECT_EQ(*DarknetWeightsBytes("[net]\ninputs=3\n[lstm]\noutput=2\n"),
            4U * (4 * (2 + 4) + 4 * (2 + 6)));
  EXPECT_EQ(*DarknetWeightsBytes("[net]\ninputs=3\n[rnn]\noutput=2\nbatch_normalize=1\n"),
            4U * (3 * 4 * 2 + 6 + 4 + 4));
}

TEST(DarknetImport, RefusesByNameAndLine) {
  EXPECT_THAT(Refusal("[net]\ninputs=256\n[crnn]\noutput=256\n"),
              HasSubstr("line 3: layer type 'crnn' is not supported; supported: activation"));
  EXPECT_THAT(Refusal("[net]\ninputs=256\ntime_steps=2\n[gru]\noutput=256\n"),
              HasSubstr("time_steps=1"));
  EXPECT_THAT(Refusal("[net]\ninputs=4\n[rnn]\noutput=2\nactivation=elu\n"),
              HasSubstr("activation is not supported"));
  EXPECT_THAT(Refusal("[conv]\n"), HasSubstr("must be [net]"));
  EXPECT_THAT(Refusal("[net]\nwidth=8\nheight=8\n[conv]\n"),
              HasSubstr("line 1: [net] needs the option channels"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[conv]\nactivation=nonsense\n"),
              HasSubstr("activation 'nonsense' is not supported"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[conv]\nxnor=1\n"), HasSubstr("xnor"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[conv]\nsize=9\n"), HasSubstr("line 5: layer"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[conv]\nfilters=10000000000\n"),
              HasSubstr("line 6: [conv] filters"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[softmax]\ntree=x\n"), HasSubstr("tree"));
  EXPECT_THAT(Refusal(std::string(kNet) + "[reorg]\nreverse=1\n"), HasSubstr("reverse"));
  EXPECT_THAT(Refusal(kNet), HasSubstr("has no layers"));
}

/// Every network that Debian's darknet package brings, but those whose layers are not supported.
TEST(DarknetImport, ReadsDebiansNetworks) {
  const std::filesystem::path directory = "/usr/share/darknet/cfg";
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << "darknet is not installed";
  const std::map<std::string, uint64_t> known_bytes = {
      {"yolov3.cfg", 248'007'028}, {"resnet50.cfg", 91'303'584}, {"vgg-16.cfg", 553'430'176}};
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".cfg") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Result<uint64_t> bytes = DarknetWeightsBytes(text);
    const std::string name = entry.path().filename().string();
    if (bytes.ok()) {
      ++read;
      const auto known = known_bytes.find(name);
      EXPECT_EQ(*bytes, known == known_bytes.end() ? *bytes : known->second) << name;
    } else {
      EXPECT_EQ(bytes.error().code, Code::kUnsupported) << name << ": " << bytes.error().message;
    }
  }
  EXPECT_GE(read, 37);
}

}  // namespace
}  // namespace coracle::import

#include "cmd/characterize/model_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <variant>

namespace coracle::cmd {
namespace {

using graph::Graph;
using graph::Node;
using graph::RowShape;

constexpr uint64_t kValueBytes = sizeof(float);
/// c: convolution, p: pooling, f: connected ("fully connected").
constexpr std::string_view kVggSequence = "ccpccpcccpcccpcccpfff";
constexpr std::array<std::string_view, kVggSequence.size()> kVggNames = {
    "conv1_1", "conv1_2", "pool1",   "conv2_1", "conv2_2", "pool2",   "conv3_1",
    "conv3_2", "conv3_3", "pool3",   "conv4_1", "conv4_2", "conv4_3", "pool4",
    "conv5_1", "conv5_2", "conv5_3", "pool5",   "fc6",     "fc7",     "fc8"};

uint64_t BytesOf(const Graph& graph, graph::TensorIndex tensor) {
  return graph.shape(tensor).Elements() * kValueBytes;
}

void ProfileConvolution(const Graph& graph, const Node& node, LayerProfile& layer) {
  const auto& conv = std::get<graph::Conv>(node.attrs);
  const RowShape in = graph::RowsOf(graph.shape(node.inputs[0]));
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const uint64_t patch =
      uint64_t{conv.window.kernel_h} * conv.window.kernel_w * (in.channels / conv.groups);
  layer.kind = LayerKind::kConvolution;
  layer.shape = fmt::format("{}x{}x{} at {}x{}", conv.window.kernel_h, conv.window.kernel_w,
                            in.channels / conv.groups, out.rows, out.pixels);
  layer.weights_bytes = patch * conv.out_channels * kValueBytes;
  layer.bias_bytes = uint64_t{conv.out_channels} * kValueBytes;
  layer.im2col_bytes = patch * out.rows * out.pixels * kValueBytes;
}

void ProfileConnected(const Graph& graph, const Node& node, LayerProfile& layer) {
  const uint64_t outputs = std::get<graph::Dense>(node.attrs).out_features;
  layer.kind = LayerKind::kConnected;
  layer.weights_bytes = graph::SumTerms(graph, node) * outputs * kValueBytes;
  layer.bias_bytes = outputs * kValueBytes;
}

LayerProfile ProfileLayer(const Graph& graph, graph::NodeIndex index) {
  const Node& node = graph.node(index);
  LayerProfile layer;
  layer.name = node.name;
  layer.title = node.name;
  layer.node = index;
  if (!node.inputs.empty()) layer.input_bytes = BytesOf(graph, node.inputs[0]);
  layer.output_bytes = BytesOf(graph, node.output);
  switch (node.kind()) {
    case graph::OpKind::kConv:
      ProfileConvolution(graph, node, layer);
      break;
    case graph::OpKind::kDense:
      ProfileConnected(graph, node, layer);
      break;
    case graph::OpKind::kPool:
      layer.kind = LayerKind::kPooling;
      break;
    default:
      layer.weights_bytes = node.weights.TotalBytes();
  }
  return layer;
}

void GiveTitles(ModelProfile& profile) {
  std::string sequence;
  std::vector<LayerProfile*> layers;
  std::array<size_t, 2> ordinals = {};
  for (LayerProfile& layer : profile.layers) {
    if (layer.kind == LayerKind::kOther) continue;
    layers.push_back(&layer);
    if (layer.kind == LayerKind::kPooling) {
      sequence += 'p';
      continue;
    }
    const bool connected = layer.kind == LayerKind::kConnected;
    sequence += connected ? 'f' : 'c';
    layer.title = fmt::format("{} {}", connected ? "connected layer" : "convolution",
                              ++ordinals[connected ? 1 : 0]);
  }
  const bool is_vgg = sequence == kVggSequence;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (is_vgg) {
      layers[i]->title += fmt::format(" ({})", kVggNames[i]);
    } else if (layers[i]->kind != LayerKind::kPooling) {
      layers[i]->title += fmt::format(" ({})", layers[i]->name);
    }
  }
}

}  // namespace

uint64_t ModelProfile::WeightsBytes() const {
  uint64_t bytes = 0;
  for (const LayerProfile& layer : layers) bytes += layer.weights_bytes;
  return bytes;
}

const LayerProfile* ModelProfile::LargestIm2col() const {
  const LayerProfile* largest = nullptr;
  for (const LayerProfile& layer : layers) {
    if (layer.im2col_bytes > (largest == nullptr ? 0 : largest->im2col_bytes)) largest = &layer;
  }
  return largest;
}

ModelProfile ProfileOf(const Graph& graph, const std::string& name) {
  ModelProfile profile;
  profile.name = name;
  for (const graph::Port& input : graph.inputs) profile.input_bytes += BytesOf(graph, input.tensor);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    profile.layers.push_back(ProfileLayer(graph, static_cast<graph::NodeIndex>(i)));
  }
  GiveTitles(profile);
  return profile;
}

Json ProfileJson(const ModelProfile& profile) {
  Json json = Json::array();
  for (const LayerProfile& layer : profile.layers) {
    json.push_back({{"name", layer.name},
                    {"title", layer.title},
                    {"weights_bytes", layer.weights_bytes},
                    {"input_bytes", layer.input_bytes},
                    {"output_bytes", layer.output_bytes},
                    {"im2col_bytes", layer.im2col_bytes}});
  }
  return json;
}

}  // namespace coracle::cmd

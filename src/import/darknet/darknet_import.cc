#include "import/darknet/darknet_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "graph/verify.h"
#include "import/darknet/network.h"
#include "import/mapped_file.h"
#include "import/quoted.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

using AddLayer = LayerResult (*)(DarknetNetwork&, const DarknetLayer&);

/// parser.c, string_to_layer_type: long and short names, and the name that ports use.
struct LayerType {
  std::string_view name;
  AddLayer add;
};

const std::map<std::string_view, LayerType>& LayerTypes() {
  static const std::map<std::string_view, LayerType> kTypes = {
      {"convolutional", {"convolutional", AddConvolutional}},
      {"conv", {"convolutional", AddConvolutional}},
      {"connected", {"connected", AddConnected}},
      {"conn", {"connected", AddConnected}},
      {"batchnorm", {"batchnorm", AddBatchNorm}},
      {"maxpool", {"maxpool", AddMaxPool}},
      {"max", {"maxpool", AddMaxPool}},
      {"avgpool", {"avgpool", AddAvgPool}},
      {"avg", {"avgpool", AddAvgPool}},
      {"upsample", {"upsample", AddUpsample}},
      {"reorg", {"reorg", AddReorg}},
      {"crop", {"crop", AddCrop}},
      {"activation", {"activation", AddActivation}},
      {"logistic", {"logistic", AddLogistic}},
      {"logxent", {"logistic", AddLogistic}},
      {"softmax", {"softmax", AddSoftmax}},
      {"soft", {"softmax", AddSoftmax}},
      {"dropout", {"dropout", AddNothing}},
      {"cost", {"cost", AddNothing}},
      {"rnn", {"rnn", AddRnn}},
      {"gru", {"gru", AddGru}},
      {"lstm", {"lstm", AddLstm}},
      {"route", {"route", AddRoute}},
      {"shortcut", {"shortcut", AddShortcut}},
      {"yolo", {"yolo", AddYolo}},
      {"region", {"region", AddRegion}},
      {"detection", {"detection", AddDetection}}};
  return kTypes;
}

Result<const LayerType*> FindType(const CfgSection& section) {
  const auto found = LayerTypes().find(section.type());
  if (found != LayerTypes().end()) return &found->second;
  std::vector<std::string_view> names;
  for (const auto& [alias, type] : LayerTypes()) {
    if (alias == type.name) names.push_back(alias);
  }
  return Error{Code::kUnsupported,
               fmt::format("line {}: layer type {} is not supported; supported: {}", section.line(),
                           Quoted(section.type()), fmt::join(names, ", "))};
}

Status AddNetInput(DarknetNetwork& network, const CfgSection& net, TensorIndex& input) {
  if (net.type() != "net" && net.type() != "network") {
    return net.Malformed("must be [net], the first section");
  }
  TRY_ASSIGN(network.time_steps, net.Count("time_steps", 1, 1, graph::kMaxDimension));
  if (net.Has("inputs") && !net.Has("height")) {  // a vector
    TRY_ASSIGN(const uint32_t inputs, net.Count("inputs", 0, 1, graph::kMaxDimension));
    network.height = network.width = 1;
    TRY_ASSIGN(input, network.builder.AddInput("input", {1, inputs, 1, 1}));
    return {};
  }
  TRY_ASSIGN(network.height, net.Count("height", 0, 1, graph::kMaxDimension));
  TRY_ASSIGN(network.width, net.Count("width", 0, 1, graph::kMaxDimension));
  TRY_ASSIGN(const uint32_t channels, net.Count("channels", 0, 1, graph::kMaxDimension));
  TRY_ASSIGN(input,
             network.builder.AddInput("input", {1, channels, network.height, network.width}));
  return {};
}

/// A layer's name, and whether its output is a graph output anyway.
struct NamedLayer {
  std::string name;
  bool is_head = false;
  bool is_cost = false;
};

Result<std::vector<NamedLayer>> AddLayers(DarknetNetwork& network,
                                          const std::vector<CfgSection>& sections) {
  for (size_t i = 1; i < sections.size(); ++i) TRY(FindType(sections[i]));
  TensorIndex tensor{};
  TRY(AddNetInput(network, sections[0], tensor));
  std::vector<NamedLayer> layers;
  for (size_t i = 1; i < sections.size(); ++i) {
    const CfgSection& section = sections[i];
    TRY_ASSIGN(const LayerType* type, FindType(section));
    const auto index = static_cast<uint32_t>(i - 1);
    const DarknetLayer layer{section, index, fmt::format("{}_{}", type->name, index), tensor};
    const size_t heads = network.heads.size();
    LayerResult output = type->add(network, layer);
    if (!output.ok()) {
      const Error& error = output.error();
      const bool placed = error.message.rfind("line ", 0) == 0;
      return placed ? error
                    : Error{error.code, fmt::format("line {}: layer {}: {}", section.line(),
                                                    layer.name, error.message)};
    }
    tensor = *output;
    network.outputs.push_back(tensor);
    layers.push_back({layer.name, network.heads.size() > heads, type->name == "cost"});
  }
  return layers;
}

Status AddOutputs(DarknetNetwork& network, const std::vector<NamedLayer>& layers,
                  const DarknetOptions& options) {
  size_t last = layers.size();
  while (last > 0 && layers[last - 1].is_cost) --last;
  if (last == 0) return Error{Code::kMalformed, "the cfg has no layers"};
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].is_head && i + 1 != last) continue;
    TRY(network.builder.AddOutput(layers[i].name, network.outputs[i]));
  }
  for (const uint32_t index : options.extra_output_layers) {
    if (index >= layers.size()) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("extra output layer {}: the cfg has {} layers", index, layers.size())};
    }
    TRY(network.builder.AddOutput(fmt::format("layer_{}", index), network.outputs[index]));
  }
  return {};
}

std::string DecodeJson(const DarknetNetwork& network) {
  if (network.heads.empty()) return "";
  std::vector<std::string> heads;
  for (const DarknetHead& head : network.heads) heads.push_back(head.json);
  return fmt::format("{{\"kind\": \"{}\", \"net_width\": {}, \"net_height\": {}, \"heads\": [{}]}}",
                     network.heads[0].kind, network.width, network.height, fmt::join(heads, ", "));
}

Status CheckOneKind(const DarknetNetwork& network) {
  for (const DarknetHead& head : network.heads) {
    if (head.kind != network.heads[0].kind) {
      return Error{Code::kUnsupported, "detection heads of different types are not supported"};
    }
  }
  return {};
}

Status CheckWeightsSize(const WeightsReader& weights, uint64_t file_bytes, uint64_t needed_bytes,
                        TrailingWeights trailing) {
  const uint64_t expected = weights.header_bytes() + needed_bytes;
  if (file_bytes < expected) {
    return Error{Code::kMalformed,
                 fmt::format("{} bytes, but the cfg needs {}: cut short, or of another cfg",
                             file_bytes, expected)};
  }
  if (file_bytes > expected && trailing == TrailingWeights::kRefuse) {
    return Error{Code::kMalformed,
                 fmt::format("{} bytes, but the cfg needs only {}: of another cfg, or of a longer "
                             "network that this cfg cuts",
                             file_bytes, expected)};
  }
  return {};
}

Result<uint64_t> CountWeights(const std::vector<CfgSection>& sections) {
  DarknetNetwork network(WeightsReader::CountOnly());
  TRY(AddLayers(network, sections));
  return network.weights.consumed_bytes();
}

Error Prefixed(const std::string& prefix, const Error& error) {
  return Error{error.code, fmt::format("{}: {}", prefix, error.message)};
}

/// The graph; errors of the cfg and of the weights each start with their own prefix.
Result<ImportedModel> Import(std::string_view cfg, const std::string& cfg_name, Bytes file,
                             const std::string& weights_name, std::shared_ptr<const void> owner,
                             const DarknetOptions& options) {
  const Result<std::vector<CfgSection>> sections = ParseCfg(cfg);
  if (!sections.ok()) return Prefixed(cfg_name, sections.error());
  const Result<uint64_t> needed = CountWeights(*sections);
  if (!needed.ok()) return Prefixed(cfg_name, needed.error());
  Result<WeightsReader> reader = WeightsReader::Open(file, std::move(owner));
  if (!reader.ok()) return Prefixed(weights_name, reader.error());
  const Status sized = CheckWeightsSize(*reader, file.size(), *needed, options.trailing_weights);
  if (!sized.ok()) return Prefixed(weights_name, sized.error());

  DarknetNetwork network(*std::move(reader));
  const Result<std::vector<NamedLayer>> layers = AddLayers(network, *sections);
  if (!layers.ok()) return Prefixed(cfg_name, layers.error());
  Status outputs = CheckOneKind(network);
  if (outputs.ok()) outputs = AddOutputs(network, *layers, options);
  if (!outputs.ok()) return Prefixed(cfg_name, outputs.error());
  ImportedModel model;
  model.decode_json = DecodeJson(network);
  Result<graph::Graph> graph = network.builder.Finish();
  if (!graph.ok()) return Prefixed(cfg_name, graph.error());
  model.graph = *std::move(graph);
  return model;
}

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<ImportedModel> ImportDarknetBytes(std::string_view cfg, Bytes weights,
                                         std::shared_ptr<const void> owner,
                                         const DarknetOptions& options) {
  return Import(cfg, "cfg", weights, "weights", std::move(owner), options);
}

Result<uint64_t> DarknetWeightsBytes(std::string_view cfg) {
  TRY_ASSIGN(const std::vector<CfgSection> sections, ParseCfg(cfg));
  return CountWeights(sections);
}

Result<ImportedModel> ImportDarknet(const std::string& cfg_path, const std::string& weights_path,
                                    const DarknetOptions& options) {
  TRY_ASSIGN(const std::shared_ptr<const MappedFile> cfg, MappedFile::Open(cfg_path));
  TRY_ASSIGN(const std::shared_ptr<const MappedFile> weights, MappedFile::Open(weights_path));
  return Import(AsText(cfg->bytes()), cfg_path, weights->bytes(), weights_path, weights, options);
}

}  // namespace coracle::import

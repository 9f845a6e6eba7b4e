// Layers that read layers by index: route and shortcut.
#include <fmt/format.h>

#include <algorithm>

#include "graph/verify.h"
#include "import/darknet/network.h"

namespace coracle::import {

using graph::BinaryKind;
using graph::TensorIndex;

namespace {

/// Darknet's route of later forks: a share of the channels of each layer.
LayerResult TakeGroup(DarknetNetwork& network, const DarknetLayer& layer, TensorIndex x,
                      uint32_t groups, uint32_t group) {
  Shape shape = network.builder.shape(x);
  if (shape[1] % groups != 0) return layer.section.Malformed("its groups do not divide a layer");
  const uint32_t share = shape[1] / groups;
  graph::Slice slice{{0, int64_t{share} * group, 0, 0}, {1, 1, 1, 1}};
  shape.Set(1, share);
  return network.builder.Slice(layer.name + "/group", x, std::move(slice), shape);
}

/// What shortcut_cpu (blas.c) adds from a layer of another size: its common channels, every
/// stride-th row and column, and zeros in the channels that it has not.
LayerResult FitToShortcut(DarknetNetwork& network, const DarknetLayer& layer, TensorIndex from,
                          const Shape& target) {
  const Shape in = network.builder.shape(from);
  const uint32_t stride = in[2] / target[2];
  if (stride == 0 || in[3] / target[3] != stride) {
    return layer.section.Unsupported(
        fmt::format("adds {} to {}: only a layer that is larger by "
                    "one whole factor can be added",
                    in.ToString(), target.ToString()));
  }
  const uint32_t channels = std::min(in[1], target[1]);
  graph::Slice slice{{0, 0, 0, 0}, {1, 1, int64_t{stride}, int64_t{stride}}};
  if (target[2] == 1) slice.steps[2] = 1;
  if (target[3] == 1) slice.steps[3] = 1;
  TRY_ASSIGN(const TensorIndex common,
             network.builder.Slice(layer.name + "/common", from, std::move(slice),
                                   {1, channels, target[2], target[3]}));
  if (channels == target[1]) return common;
  graph::Pad pad;
  pad.before = {0, 0, 0, 0};
  pad.after = {0, target[1] - channels, 0, 0};
  return network.builder.Emit(layer.name + "/zeros", {.attrs = std::move(pad), .inputs = {common}});
}

}  // namespace

Result<uint32_t> ResolveLayer(const DarknetLayer& layer, int64_t listed) {
  const int64_t limit = layer.index;
  const int64_t index = listed < 0 && listed >= -limit ? listed + limit : listed;
  if (index < 0 || index >= limit) {
    return layer.section.Malformed(
        fmt::format("layer {} names layer {}, which does not precede it", layer.index, listed));
  }
  return static_cast<uint32_t>(index);
}

LayerResult AddRoute(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  TRY_ASSIGN(const std::vector<int64_t> listed, section.Ints("layers"));
  if (listed.empty()) return section.Malformed("needs the option layers");
  if (listed.size() > graph::kMaxInputsPerNode) return section.Unsupported("joins too many layers");
  TRY_ASSIGN(const uint32_t groups, section.Count("groups", 1, 1, graph::kMaxDimension));
  TRY_ASSIGN(const uint32_t group, section.Count("group_id", 0, 0, groups - 1));
  std::vector<TensorIndex> parts;
  for (const int64_t one : listed) {
    TRY_ASSIGN(const uint32_t index, ResolveLayer(layer, one));
    TRY_ASSIGN(const TensorIndex part,
               TakeGroup(network, layer, network.outputs[index], groups, group));
    parts.push_back(part);
  }
  if (parts.size() == 1) return parts[0];
  return network.builder.Emit(layer.name, {.attrs = graph::Concat{1}, .inputs = std::move(parts)});
}

LayerResult AddShortcut(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  GraphBuilder& builder = network.builder;
  TRY_ASSIGN(const std::vector<int64_t> listed, section.Ints("from"));
  if (listed.size() != 1) return section.Unsupported("needs the option from with one layer");
  TRY_ASSIGN(const uint32_t from, ResolveLayer(layer, listed[0]));
  if (section.String("weights_type", "none") != "none") {
    return section.Unsupported("the option weights_type is not supported");
  }
  TRY_ASSIGN(const float alpha, section.Float("alpha", 1));
  TRY_ASSIGN(const float beta, section.Float("beta", 1));
  TRY_ASSIGN(const DarknetActivation activation, ReadActivation(section, "linear"));
  const Shape target = builder.shape(layer.input);
  TensorIndex added = network.outputs[from];
  if (builder.shape(added) != target) {
    // Darknet scales by alpha only where it adds.
    if (alpha != 1) return section.Unsupported("alpha with layers of different sizes");
    TRY_ASSIGN(added, FitToShortcut(network, layer, added, target));
  }
  TRY_ASSIGN(added, ApplyGain(network, layer, added, beta));
  TRY_ASSIGN(const TensorIndex base, ApplyGain(network, layer, layer.input, alpha));
  const graph::Binary add{BinaryKind::kAdd, graph::Operands::kTensors, {}};
  TRY_ASSIGN(
      const TensorIndex sum,
      builder.Emit(layer.name,
                   {.attrs = add, .inputs = {base, added}, .activation = activation.activation}));
  return ApplyGain(network, layer, sum, activation.gain);
}

}  // namespace coracle::import

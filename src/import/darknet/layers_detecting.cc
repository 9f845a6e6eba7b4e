// Detection heads: yolo (YOLOv3), region (YOLOv2), detection (YOLOv1).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "graph/verify.h"
#include "import/darknet/network.h"

namespace coracle::import {

using graph::TensorIndex;

namespace {

constexpr uint32_t kAnchorsMax = 1024;
constexpr uint32_t kClassesMax = 100'000;

/// [[w, h], ...] of the anchors in `mask`. `flat` holds w and h in turn.
std::string AnchorsJson(const std::vector<float>& flat, const std::vector<uint32_t>& mask) {
  std::vector<std::string> pairs;
  pairs.reserve(mask.size());
  for (const uint32_t at : mask) {
    pairs.push_back(fmt::format("[{}, {}]", flat[2 * size_t{at}], flat[2 * size_t{at} + 1]));
  }
  return fmt::format("[{}]", fmt::join(pairs, ", "));
}

/// The option `anchors` of `count` boxes. Darknet starts from 0.5 where there are none.
Result<std::vector<float>> ReadAnchors(const CfgSection& section, uint32_t count) {
  TRY_ASSIGN(std::vector<float> anchors, section.Floats("anchors"));
  if (anchors.empty()) anchors.assign(size_t{count} * 2, .5F);
  if (anchors.size() != size_t{count} * 2) {
    return section.Malformed(fmt::format("has {} numbers in anchors, {} boxes need {}",
                                         anchors.size(), count, size_t{count} * 2));
  }
  return anchors;
}

Result<std::vector<uint32_t>> ReadMask(const CfgSection& section, uint32_t anchors) {
  TRY_ASSIGN(const std::vector<int64_t> listed, section.Ints("mask"));
  std::vector<uint32_t> mask;
  for (uint32_t i = 0; listed.empty() && i < anchors; ++i) mask.push_back(i);
  for (const int64_t at : listed) {
    if (at < 0 || at >= int64_t{anchors}) {
      return section.Malformed(fmt::format("mask {} is no anchor (0 to {})", at, anchors - 1));
    }
    mask.push_back(static_cast<uint32_t>(at));
  }
  if (mask.size() > kAnchorsMax) return section.Unsupported("has too many boxes");
  return mask;
}

LayerResult EmitHead(DarknetNetwork& network, const DarknetLayer& layer,
                     const graph::DetectionHead& head) {
  const uint32_t channels = network.builder.shape(layer.input)[1];
  if (uint64_t{head.boxes} * (head.classes + 5) != channels) {
    return layer.section.Malformed(
        fmt::format("{} boxes of {} classes need {} channels, not {}", head.boxes, head.classes,
                    uint64_t{head.boxes} * (head.classes + 5), channels));
  }
  return network.builder.Emit(layer.name, {.attrs = head, .inputs = {layer.input}});
}

/// detection_layer.c: softmax over the classes of each cell, which come first.
LayerResult SoftmaxOfCells(DarknetNetwork& network, const DarknetLayer& layer, uint32_t cells,
                           uint32_t classes) {
  GraphBuilder& builder = network.builder;
  const Shape shape = builder.shape(layer.input);
  const auto values = static_cast<uint32_t>(shape.Elements());
  const uint32_t first = cells * classes;
  TRY_ASSIGN(const TensorIndex flat,
             builder.Reshape(layer.name + "/flat", layer.input, {1, values}));
  TRY_ASSIGN(const TensorIndex classes_part,
             builder.Slice(layer.name + "/classes", flat, {{0, 0}, {1, 1}}, {1, first}));
  TRY_ASSIGN(const TensorIndex rows,
             builder.Reshape(layer.name + "/cells", classes_part, {cells, classes}));
  TRY_ASSIGN(const TensorIndex soft,
             builder.Emit(layer.name + "/softmax", {.attrs = graph::Softmax{1}, .inputs = {rows}}));
  TRY_ASSIGN(const TensorIndex line, builder.Reshape(layer.name + "/line", soft, {1, first}));
  TRY_ASSIGN(const TensorIndex rest,
             builder.Slice(layer.name + "/boxes", flat, {{0, first}, {1, 1}}, {1, values - first}));
  TRY_ASSIGN(const TensorIndex joined,
             builder.Emit(layer.name, {.attrs = graph::Concat{1}, .inputs = {line, rest}}));
  return builder.Reshape(layer.name + "/plane", joined, shape);
}

}  // namespace

LayerResult AddYolo(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  TRY(section.MustBeOff("new_coords"));
  TRY_ASSIGN(const uint32_t classes, section.Count("classes", 20, 1, kClassesMax));
  TRY_ASSIGN(const uint32_t anchors, section.Count("num", 1, 1, kAnchorsMax));
  TRY_ASSIGN(const std::vector<uint32_t> mask, ReadMask(section, anchors));
  TRY_ASSIGN(const std::vector<float> flat, ReadAnchors(section, anchors));
  const graph::DetectionHead head{graph::DetectionHeadKind::kYolo,
                                  static_cast<uint32_t>(mask.size()), classes, 0};
  TRY_ASSIGN(const TensorIndex y, EmitHead(network, layer, head));
  network.heads.push_back(
      {"yolo", fmt::format("{{\"output\": \"{}\", \"classes\": {}, \"anchors\": {}}}", layer.name,
                           classes, AnchorsJson(flat, mask))});
  return y;
}

LayerResult AddRegion(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  if (section.Has("tree") || section.Has("map")) {
    return section.Unsupported("the options tree and map are not supported");
  }
  TRY(section.MustBeOff("background"));
  TRY_ASSIGN(const uint32_t coords, section.Count("coords", 4, 1, 64));
  if (coords != 4) return section.Unsupported("coords other than 4 are not supported");
  TRY_ASSIGN(const uint32_t classes, section.Count("classes", 20, 1, kClassesMax));
  TRY_ASSIGN(const uint32_t boxes, section.Count("num", 1, 1, kAnchorsMax));
  TRY_ASSIGN(const uint32_t softmax, section.Count("softmax", 0, 0, 1));
  TRY_ASSIGN(const std::vector<float> flat, ReadAnchors(section, boxes));
  std::vector<uint32_t> all(boxes);
  for (uint32_t i = 0; i < boxes; ++i) all[i] = i;
  const graph::DetectionHead head{graph::DetectionHeadKind::kRegion, boxes, classes, softmax};
  TRY_ASSIGN(const TensorIndex y, EmitHead(network, layer, head));
  network.heads.push_back(
      {"region", fmt::format("{{\"output\": \"{}\", \"classes\": {}, \"anchors\": {}}}", layer.name,
                             classes, AnchorsJson(flat, all))});
  return y;
}

LayerResult AddDetection(DarknetNetwork& network, const DarknetLayer& layer) {
  const CfgSection& section = layer.section;
  TRY_ASSIGN(const uint32_t coords, section.Count("coords", 1, 1, 64));
  TRY_ASSIGN(const uint32_t classes, section.Count("classes", 1, 1, kClassesMax));
  TRY_ASSIGN(const uint32_t boxes, section.Count("num", 1, 1, kAnchorsMax));
  TRY_ASSIGN(const uint32_t side, section.Count("side", 7, 1, 1024));
  TRY_ASSIGN(const uint32_t softmax, section.Count("softmax", 0, 0, 1));
  TRY_ASSIGN(const uint32_t square_root, section.Count("sqrt", 0, 0, 1));
  const uint64_t cells = uint64_t{side} * side;
  const uint64_t needed = cells * (uint64_t{boxes} * (coords + 1) + classes);
  const uint64_t inputs = network.builder.shape(layer.input).Elements();
  if (coords != 4 || needed != inputs) {
    return section.Malformed(
        fmt::format("{} cells of {} boxes, {} coords and {} classes need {} "
                    "values, not {}",
                    cells, boxes, coords, classes, needed, inputs));
  }
  network.heads.push_back(
      {"detection",
       fmt::format("{{\"output\": \"{}\", \"classes\": {}, \"side\": {}, \"boxes\": {}, "
                   "\"sqrt\": {}}}",
                   layer.name, classes, side, boxes, square_root)});
  if (softmax == 0) return layer.input;
  return SoftmaxOfCells(network, layer, static_cast<uint32_t>(cells), classes);
}

}  // namespace coracle::import

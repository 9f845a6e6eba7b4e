#include "passes/choose_weight_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/check.h"
#include "kernels/packing.h"
#include "kernels/quantize_weights.h"
#include "plan/node_cost.h"

namespace coracle::passes {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeIndex;
using graph::WeightType;

/// Under kAuto a layer must become faster by this share of its time to be worth its error.
constexpr double kWorthwhile = 0.02;
/// Fewer weights are opened within a microsecond in any type.
constexpr uint64_t kLeastWeightBytes = 16 * 1024;

/// Milliseconds to open the layer's weights and compute it, on the machine that
/// plan::MachineRates{} describes.
double LayerMs(const Graph& graph, const Node& node, WeightType type) {
  Node other = node;
  other.weight_type = type;
  other.weights = kernels::CutIntoChunks(graph, other, graph::ChunkIndex{0});
  const plan::NodeCost cost(graph, other, plan::MachineRates{});
  return cost.Stream(plan::OutputRows(graph, other));
}

WeightType TypeOf(const Node& node, WeightChoice choice) {
  const bool int4 = choice == WeightChoice::kInt4 && node.kind() == graph::OpKind::kDense;
  return int4 ? WeightType::kInt4 : WeightType::kInt8;
}

/// Quantises the node's weights. False if some are not finite: the node stays as it is.
bool Quantize(Graph& graph, NodeIndex index, QuantizedLayer& layer) {
  Node& node = graph.node(index);
  auto source = std::make_shared<graph::WeightSource>(*node.source);
  const kernels::QuantizationLoss loss =
      kernels::MeasureQuantization(graph, node, layer.type, source->weight_steps);
  if (!loss.finite) return false;
  layer.error = loss.Relative();
  node.source = std::move(source);
  node.weight_type = layer.type;
  return true;
}

Error NotFinite(const Node& node) {
  return {Code::kInvalidArgument,
          fmt::format("layer {} has a weight that is infinite or not a number: it cannot be "
                      "quantised; seal with --weights auto or fp32",
                      node.name)};
}

bool IsCandidate(const Graph& graph, const Node& node) {
  return node.source != nullptr && node.weight_type == WeightType::kFloat32 &&
         kernels::AllowsQuantizedWeights(graph, node);
}

Result<std::vector<QuantizedLayer>> QuantizeAll(Graph& graph, WeightChoice choice) {
  std::vector<QuantizedLayer> layers;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!IsCandidate(graph, node)) continue;
    QuantizedLayer layer{.node = NodeIndex{i}, .type = TypeOf(node, choice)};
    layer.saved_ms = LayerMs(graph, node, WeightType::kFloat32) - LayerMs(graph, node, layer.type);
    if (!Quantize(graph, NodeIndex{i}, layer)) return NotFinite(node);
    layers.push_back(layer);
  }
  return layers;
}

/// The layers that int8 makes faster.
std::vector<QuantizedLayer> WorthwhileLayers(const Graph& graph) {
  std::vector<QuantizedLayer> layers;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!IsCandidate(graph, node)) continue;
    if (node.source->weight->bytes.size() < kLeastWeightBytes) continue;
    const double plain_ms = LayerMs(graph, node, WeightType::kFloat32);
    const double saved_ms = plain_ms - LayerMs(graph, node, WeightType::kInt8);
    if (saved_ms < kWorthwhile * plain_ms) continue;
    layers.push_back({.node = NodeIndex{i}, .type = WeightType::kInt8, .saved_ms = saved_ms});
  }
  return layers;
}

/// Layers of about the same error each: those that save most come first.
std::vector<QuantizedLayer> QuantizeWorthwhile(Graph& graph, double error_max) {
  std::vector<QuantizedLayer> candidates = WorthwhileLayers(graph);
  std::ranges::stable_sort(candidates, std::ranges::greater(), &QuantizedLayer::saved_ms);
  std::vector<QuantizedLayer> layers;
  double squares = 0;
  for (QuantizedLayer& layer : candidates) {
    if (!Quantize(graph, layer.node, layer)) continue;
    if (squares + layer.error * layer.error > error_max * error_max) {
      Unquantize(graph, layer);
      continue;
    }
    squares += layer.error * layer.error;
    layers.push_back(layer);
  }
  return layers;
}

}  // namespace

double EstimatedError(const std::vector<QuantizedLayer>& layers) {
  double squares = 0;
  for (const QuantizedLayer& layer : layers) squares += layer.error * layer.error;
  return std::sqrt(squares);
}

void Unquantize(Graph& graph, const QuantizedLayer& layer) {
  graph.node(layer.node).weight_type = WeightType::kFloat32;
}

Result<std::vector<QuantizedLayer>> ChooseWeightTypes(Graph& graph, WeightChoice choice,
                                                      double error_max) {
  CORACLE_CHECK(graph.stage == graph::Stage::kRows);
  switch (choice) {
    case WeightChoice::kFloat32:
      return std::vector<QuantizedLayer>();
    case WeightChoice::kInt8:
    case WeightChoice::kInt4:
      return QuantizeAll(graph, choice);
    case WeightChoice::kAuto:
      break;
  }
  return QuantizeWorthwhile(graph, error_max);
}

}  // namespace coracle::passes

#include "passes/choose_algorithms.h"

#include "base/check.h"
#include "kernels/packing.h"
#include "plan/node_cost.h"

namespace coracle::passes {
namespace {

using graph::Conv;
using graph::ConvAlgorithm;
using graph::Graph;
using graph::Node;

/// With fewer channels the transforms weigh more than what they save.
constexpr uint32_t kLeastInputs = 32;
constexpr uint32_t kLeastOutputs = 32;
/// Another algorithm takes at most this share of the direct one's time, or is not worth its
/// roundings.
constexpr double kWorthwhile = 0.9;

/// Milliseconds of the whole layer on the machine that plan::MachineRates{} describes.
double LayerMs(const Graph& graph, const Node& node, ConvAlgorithm algorithm) {
  Node other = node;
  std::get<Conv>(other.attrs).algorithm = algorithm;
  other.weights = kernels::CutIntoChunks(graph, other, graph::ChunkIndex{0});
  const plan::NodeCost cost(graph, other, plan::MachineRates{});
  return cost.Compute(plan::OutputRows(graph, other));
}

bool IsCandidate(const Graph& graph, const Node& node) {
  return graph::AllowsWinograd(graph, node) &&
         graph.shape(node.inputs[0]).Back(0) >= kLeastInputs &&
         graph.shape(node.output).Back(0) >= kLeastOutputs;
}

}  // namespace

ConvAlgorithm FastestAlgorithm(const Graph& graph, const Node& node) {
  ConvAlgorithm fastest = ConvAlgorithm::kDirect;
  if (!IsCandidate(graph, node)) return fastest;
  double least_ms = kWorthwhile * LayerMs(graph, node, ConvAlgorithm::kDirect);
  for (const auto algorithm : {ConvAlgorithm::kWinograd2, ConvAlgorithm::kWinograd4}) {
    const double ms = LayerMs(graph, node, algorithm);
    if (ms >= least_ms) continue;
    least_ms = ms;
    fastest = algorithm;
  }
  return fastest;
}

size_t ChooseAlgorithms(Graph& graph) {
  CORACLE_CHECK(graph.stage == graph::Stage::kRows);
  size_t chosen = 0;
  for (Node& node : graph.nodes) {
    CORACLE_CHECK(node.weights.chunks.empty());
    const ConvAlgorithm fastest = FastestAlgorithm(graph, node);
    if (fastest == ConvAlgorithm::kDirect) continue;
    std::get<Conv>(node.attrs).algorithm = fastest;
    ++chosen;
  }
  return chosen;
}

}  // namespace coracle::passes

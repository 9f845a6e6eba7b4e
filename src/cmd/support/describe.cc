#include "cmd/support/describe.h"

#include <fmt/format.h>

#include "base/checked.h"
#include "base/units.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"

namespace coracle::cmd {
namespace {

/// "Conv", "Conv winograd4".
std::string OperatorText(const graph::Node& node) {
  const std::string_view name = graph::OpName(node.kind());
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr || conv->algorithm == graph::ConvAlgorithm::kDirect) return std::string(name);
  return fmt::format("{} {}", name, graph::AlgorithmName(conv->algorithm));
}

}  // namespace

Json AlgorithmJson(const graph::Node& node) {
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  return conv == nullptr ? Json() : Json(graph::AlgorithmName(conv->algorithm));
}

std::string LayerTable(const graph::Graph& graph) {
  std::string table = fmt::format("{:>4}  {:<14} {:<34} {:>18} {:>10} {:>10} {:>9}\n", "",
                                  "operator", "layer", "output", "result", "weights", "MMACs");
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    table += fmt::format("{:>4}  {:<14} {:<34.34} {:>18} {:>10} {:>10} {:>9.2f}\n", i,
                         OperatorText(node), node.name, graph.shape(node.output).ToString(),
                         FormatBytes(TensorBytes(graph, node.output)),
                         node.weights.chunks.empty() ? "-" : FormatBytes(node.weights.TotalBytes()),
                         static_cast<double>(kernels::MultiplyAdds(graph, node)) / 1e6);
  }
  return table;
}

Json LayersJson(const graph::Graph& graph) {
  Json layers = Json::array();
  for (const graph::Node& node : graph.nodes) {
    layers.push_back(
        {{"name", node.name},
         {"op", graph::OpName(node.kind())},
         {"algorithm", AlgorithmJson(node)},
         {"output_shape", std::vector<uint32_t>(graph.shape(node.output).dims().begin(),
                                                graph.shape(node.output).dims().end())},
         {"activation_bytes", TensorBytes(graph, node.output)},
         {"weight_bytes", node.weights.TotalBytes()},
         {"sealed_weight_bytes", node.weights.SealedBytes()},
         {"multiply_adds", kernels::MultiplyAdds(graph, node)}});
  }
  return layers;
}

Json PortsJson(const std::vector<graph::Port>& ports) {
  Json json = Json::array();
  for (const graph::Port& port : ports) {
    json.push_back(
        {{"name", port.name},
         {"shape", std::vector<uint32_t>(port.shape.dims().begin(), port.shape.dims().end())},
         {"dtype", "float32"}});
  }
  return json;
}

uint64_t WeightBytes(const graph::Graph& graph) {
  uint64_t sum = 0;
  for (const graph::Node& node : graph.nodes) sum += node.weights.TotalBytes();
  return sum;
}

uint64_t SealedWeightBytes(const graph::Graph& graph) {
  uint64_t sum = 0;
  for (const graph::Node& node : graph.nodes) sum += node.weights.SealedBytes();
  return sum;
}

uint64_t MultiplyAdds(const graph::Graph& graph) {
  uint64_t sum = 0;
  for (const graph::Node& node : graph.nodes) sum += kernels::MultiplyAdds(graph, node);
  return sum;
}

}  // namespace coracle::cmd

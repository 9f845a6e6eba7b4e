#include <algorithm>
#include <utility>

#include "graph/verify.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// Smaller maps are no burden whole.
constexpr uint64_t kLeastElements = uint64_t{1} << 17;

/// The largest window along a row of `width` pixels that tiles it; 1: none.
uint32_t TileWidth(uint32_t width) {
  for (uint32_t tile = std::min(width, graph::kMaxKernel); tile > 1; --tile) {
    if (width % tile == 0) return tile;
  }
  return 1;
}

/// The window that may go before `node`; its width is 1 if none may.
graph::Pool RowPooling(const Graph& graph, const Node& node) {
  graph::Pool pool;
  const auto* reduce = std::get_if<graph::Reduce>(&node.attrs);
  if (reduce == nullptr) return pool;
  const bool mean = reduce->kind == graph::ReduceKind::kMean;
  const Shape& in = graph.shape(node.inputs[0]);
  const bool spatial = in.rank() == 4 && reduce->axes == std::vector<uint32_t>{1, 2};
  if (!spatial || (!mean && reduce->kind != graph::ReduceKind::kMax)) return pool;
  if (in[1] == 1 || in.Elements() < kLeastElements) return pool;
  pool.kind = mean ? graph::PoolKind::kAverage : graph::PoolKind::kMax;
  pool.window.kernel_w = pool.window.stride_w = TileWidth(in[2]);
  return pool;
}

}  // namespace

size_t SplitGlobalPooling(Graph& graph) {
  if (graph.stage != graph::Stage::kRows) return 0;
  size_t rewrites = 0;
  std::vector<Node> nodes;
  nodes.reserve(graph.nodes.size());
  for (Node& node : graph.nodes) {
    const graph::Pool pool = RowPooling(graph, node);
    if (pool.window.kernel_w > 1) {
      Shape shape = graph.shape(node.inputs[0]);
      shape.Set(2, shape[2] / pool.window.kernel_w);
      Node rows;
      rows.name = node.name + ".rows";
      rows.attrs = pool;
      rows.inputs = {node.inputs[0]};
      rows.output = graph.AddTensor(rows.name, shape);
      node.inputs[0] = rows.output;
      nodes.push_back(std::move(rows));
      ++rewrites;
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  return rewrites;
}

}  // namespace coracle::passes

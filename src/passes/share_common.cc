#include <algorithm>
#include <map>
#include <vector>

#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::NodeIndex;

/// Constants up to this size are compared by value, larger ones by identity.
constexpr size_t kComparedBytes = 16 * 1024;

bool SameConstant(const graph::Constant* a, const graph::Constant* b) {
  if (a == b) return true;
  if (a == nullptr || b == nullptr || a->dtype != b->dtype || a->shape != b->shape) return false;
  if (a->bytes.size() != b->bytes.size()) return false;
  if (a->bytes.data() == b->bytes.data()) return true;
  return a->bytes.size() <= kComparedBytes &&
         std::equal(a->bytes.begin(), a->bytes.end(), b->bytes.begin());
}

bool SameSource(const graph::WeightSource* a, const graph::WeightSource* b) {
  if (a == b) return true;
  if (a == nullptr || b == nullptr) return false;
  return SameConstant(a->weight.get(), b->weight.get()) && a->dense_order == b->dense_order &&
         a->flattened_from == b->flattened_from && a->scale == b->scale && a->bias == b->bias &&
         a->weight_zero == b->weight_zero && a->integer_bias == b->integer_bias &&
         a->weight_steps == b->weight_steps && a->initial_state == b->initial_state;
}

bool SameNode(const graph::Graph& graph, const Node& a, const Node& b) {
  return a.attrs == b.attrs && a.inputs == b.inputs && a.activation == b.activation &&
         a.residual == b.residual && a.weight_type == b.weight_type && a.integer == b.integer &&
         graph.shape(a.output) == graph.shape(b.output) &&
         graph.tensor(a.output).dtype == graph.tensor(b.output).dtype &&
         SameSource(a.source.get(), b.source.get());
}

}  // namespace

size_t ShareCommon(graph::Graph& graph) {
  Rewriter rewriter(graph);
  std::map<std::pair<graph::OpKind, std::vector<graph::TensorIndex>>, std::vector<NodeIndex>> seen;
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    std::vector<NodeIndex>& candidates = seen[{node.kind(), node.inputs}];
    for (NodeIndex candidate : candidates) {
      if (!SameNode(graph, graph.node(candidate), node)) continue;
      rewriter.ReplaceUses(node.output, graph.node(candidate).output);
      return;
    }
    candidates.push_back(index);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes

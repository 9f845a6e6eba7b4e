// Rewriter: a graph with its producers and consumers at hand, kept right while it is rewritten.
//
// A rewrite replaces the last node of a pattern in place; what only the old node needed disappears
// by itself. So nodes never move before their operands, and no pass has to delete anything.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "graph/graph.h"

namespace coracle::passes {

class Rewriter {
 public:
  /// `graph` must outlive the rewriter and be changed through it alone until Finish().
  explicit Rewriter(graph::Graph& graph);

  const graph::Graph& graph() const { return graph_; }
  bool Live(graph::NodeIndex index) const { return live_[Position(index)]; }

  /// Calls `visit` for each node, first to last, that is live when its turn comes. It may rewrite.
  void ForEach(const std::function<void(graph::NodeIndex)>& visit);

  /// The live node that computes `tensor`, or null for a graph input.
  const graph::Node* Producer(graph::TensorIndex tensor) const;
  /// Exactly one operand of one node reads `tensor`, and it is no graph output.
  bool HasSoleUse(graph::TensorIndex tensor) const;
  bool IsGraphOutput(graph::TensorIndex tensor) const;
  /// Operand uses of `tensor`, one entry each.
  const std::vector<graph::NodeIndex>& Uses(graph::TensorIndex tensor) const;
  /// Producer(tensor) if `tensor` has a sole use, else null.
  const graph::Node* SoleProducer(graph::TensorIndex tensor) const;

  /// Replaces the node at `index` by `node`, which must have the same output and read only tensors
  /// computed before it.
  void SetNode(graph::NodeIndex index, graph::Node node);
  /// Gives `tensor` another element type. Its producer and readers must be rewritten to match.
  void SetDType(graph::TensorIndex tensor, DType dtype);
  /// Makes every node and graph output read `to` instead of `from`. Requires: same shape and type;
  /// `to` is computed before every reader of `from`.
  void ReplaceUses(graph::TensorIndex from, graph::TensorIndex to);

  /// Rewrites so far.
  size_t rewrites() const { return rewrites_; }
  /// Drops what is not live, and the tensors that nothing mentions; renumbers both. Returns
  /// rewrites().
  size_t Finish();

 private:
  void AddUse(graph::TensorIndex tensor, graph::NodeIndex node);
  void RemoveUse(graph::TensorIndex tensor, graph::NodeIndex node);
  void RemoveIfUnused(graph::TensorIndex tensor);

  graph::Graph& graph_;
  std::vector<bool> live_;                           // by node
  std::vector<graph::NodeIndex> producer_;           // by tensor; NoIndex for inputs
  std::vector<std::vector<graph::NodeIndex>> uses_;  // by tensor
  std::vector<uint32_t> output_uses_;                // by tensor: ports that show it
  size_t rewrites_ = 0;
};

/// A node without constants: `like`'s name and output, other attributes and operands.
graph::Node NodeLike(const graph::Node& like, graph::Attributes attrs,
                     std::vector<graph::TensorIndex> inputs, graph::Activation activation = {});

}  // namespace coracle::passes

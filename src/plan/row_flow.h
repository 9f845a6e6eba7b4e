// RowFlow: in which order nodes make their rows when rows are made on demand, and how many rows of
// a tensor that keeps alive.
//
// Imagine the whole network as one cascade. A node fires: it makes its next `firing_rows` output
// rows, after the producers of its operands have fired as often as that needs, and no more often.
// The order in which the nodes of any part of the network fire, seen by themselves, is the same
// whichever part around it is computed along with them; so one flow answers for all segments.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "kernels/kernel.h"
#include "plan/liveness.h"

namespace coracle::plan {

/// A node, by its place in the order of execution.
using NodeNumber = uint32_t;
inline constexpr NodeNumber kNoNode = UINT32_MAX;

/// True if some tensor of the node has several images: it is computed in one action, and its
/// tensors lie whole in the pool.
bool HasImages(const graph::Graph& graph, const graph::Node& node);

/// InputRows() for rows that count those of all images; a node with images reads everything.
kernels::RowRange RowsRead(const graph::Graph& graph, const graph::Node& node, uint32_t operand,
                           kernels::RowRange rows);

/// One operand of one node.
struct Use {
  NodeNumber node = kNoNode;
  uint32_t operand = 0;
};

/// By TensorIndex: who makes it (kNoNode: graph inputs) and who reads it, in order.
struct Uses {
  std::vector<NodeNumber> makers;
  std::vector<std::vector<Use>> readers;
};
Uses UsesOf(const graph::Graph& graph);

/// Each node makes `rows` rows at a time, rounded up to whole granules (kernels::RowGranule), or
/// all if it has fewer: no tile is cut, and none is computed twice.
class RowFlow {
 public:
  /// `graph` and `uses` must outlive the flow.
  RowFlow(const graph::Graph& graph, const Uses& uses, uint32_t rows);

  uint32_t firing_rows(NodeNumber node) const { return firing_rows_[node]; }
  uint32_t firings(NodeNumber node) const { return static_cast<uint32_t>(when_[node].size()); }

  /// Most rows of `tensor` that are alive at a time if `readers` (some of its own) read it and it
  /// comes `grain` rows at a time.
  uint32_t RowsKept(graph::TensorIndex tensor, std::span<const Use> readers, uint32_t grain) const;

  /// How far in bytes rows of `made` must begin before those of `read` (both dense) so that making
  /// them overwrites nothing that `readers` still read. INT64_MIN: nothing is read any more.
  int64_t BytesBelow(graph::TensorIndex read, std::span<const Use> readers,
                     graph::TensorIndex made) const;

 private:
  class Builder;

  uint32_t CountRowsKept(graph::TensorIndex tensor, std::span<const Use> readers,
                         uint32_t grain) const;

  const graph::Graph& graph_;
  const Uses& uses_;
  std::vector<uint32_t> firing_rows_;        // by node
  std::vector<std::vector<uint32_t>> when_;  // by node: the time of each firing
  // Answers of RowsKept: many segments, in many worlds, ask for the same.
  mutable std::map<std::array<uint32_t, 4>, uint32_t> kept_;
};

}  // namespace coracle::plan

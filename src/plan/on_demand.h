// RunOnDemand: makes rows as they are wanted, and no earlier.
//
// A node fires: it makes its next rows, once the makers of what it reads have fired as often as
// that needs. The roots, whose rows nobody reads, advance together, the one that is furthest behind
// first; rows that nobody wanted are made at the end.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/row_flow.h"

namespace coracle::plan {

/// Fires nodes of [begin, end) until all their rows are made. `maker` tells and does:
///   uint32_t Done(NodeNumber), uint32_t Rows(NodeNumber): rows made, and in all;
///   bool IsRoot(NodeNumber): true if no node of [begin, end) reads its rows;
///   NodeNumber MissingMaker(NodeNumber): who has to fire before the node can, or kNoNode;
///   void Fire(NodeNumber): makes the node's next rows.
template <typename Maker>
void RunOnDemand(NodeNumber begin, NodeNumber end, Maker& maker) {
  std::vector<NodeNumber> stack;
  // Depth-first over the demands of the node's next firing, without recursion.
  const auto fire = [&](NodeNumber node) {
    stack.assign(1, node);
    while (!stack.empty()) {
      const NodeNumber number = stack.back();
      const NodeNumber wanted = maker.MissingMaker(number);
      if (wanted != kNoNode) {
        stack.push_back(wanted);
        continue;
      }
      maker.Fire(number);
      stack.pop_back();
    }
  };
  std::vector<NodeNumber> roots;
  for (NodeNumber node = begin; node < end; ++node) {
    if (maker.IsRoot(node)) roots.push_back(node);
  }
  while (true) {
    NodeNumber next = kNoNode;
    for (const NodeNumber root : roots) {
      if (maker.Done(root) == maker.Rows(root)) continue;
      if (next == kNoNode || uint64_t{maker.Done(root)} * maker.Rows(next) <
                                 uint64_t{maker.Done(next)} * maker.Rows(root)) {
        next = root;
      }
    }
    if (next == kNoNode) break;
    fire(next);
  }
  for (NodeNumber node = begin; node < end; ++node) {
    while (maker.Done(node) < maker.Rows(node)) fire(node);
  }
}

}  // namespace coracle::plan

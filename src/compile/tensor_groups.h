// Tensors joined into groups, one by one.
#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

#include "graph/graph.h"

namespace coracle::compile {

/// Trees of positions; a group is known by its root.
class TensorGroups {
 public:
  explicit TensorGroups(size_t tensors) : parent_(tensors) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t RootOf(graph::TensorIndex tensor) const {
    size_t root = Position(tensor);
    while (parent_[root] != root) root = parent_[root];
    return root;
  }
  /// Makes one group of both; its root is b's.
  void Join(graph::TensorIndex a, graph::TensorIndex b) { parent_[RootOf(a)] = RootOf(b); }

 private:
  std::vector<size_t> parent_;
};

}  // namespace coracle::compile

// Convoy: several inputs of one network that are computed together.
//
// A tensor of a convoy is the tensors of its inputs, one behind the other along axis 0: element
// order is input after input. Nodes, weights and indices are those of the network for one input;
// one sealed file serves every convoy.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::graph {

/// Most inputs of one convoy.
inline constexpr uint32_t kMaxBatch = 256;

/// The graph with axis 0 of every tensor and port `batch` times as long. Requires: a verified kRows
/// graph. Errors: kInvalidArgument (`batch` is not 1 to kMaxBatch); kUnsupported naming the layer
/// that mixes or fixes axis 0 (the network then computes one input at a time), or past a limit.
Result<Graph> WithBatch(const Graph& graph, uint32_t batch);

/// A network for one input, and for all of a convoy. A value; any thread.
class Convoy {
 public:
  /// Of one input. `graph` must outlive the convoy.
  explicit Convoy(const Graph& graph) : one_(&graph) {}
  /// `all` is what WithBatch(one, batch) is, up to the order of the nodes, which is one's. `one`
  /// must outlive the convoy.
  Convoy(const Graph& one, Graph all, uint32_t batch)
      : one_(&one), all_(std::make_shared<const Graph>(std::move(all))), batch_(batch) {}
  /// Errors: as WithBatch(). `graph` must outlive the convoy.
  static Result<Convoy> Make(const Graph& graph, uint32_t batch);

  const Graph& one() const { return *one_; }
  const Graph& all() const { return all_ == nullptr ? *one_ : *all_; }
  uint32_t batch() const { return batch_; }

 private:
  const Graph* one_;
  std::shared_ptr<const Graph> all_;  // null: as one_
  uint32_t batch_ = 1;
};

}  // namespace coracle::graph

// One node of a sealed model computed by the real kernels, in actions of some rows, and timed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "graph/graph.h"
#include "host/outside.h"
#include "kernels/kernel.h"
#include "plan/plan.h"
#include "seal/reader.h"

namespace coracle::bench {

/// Where the weights of an action are when it begins.
enum class Weights : uint8_t {
  kStreamed,  ///< sealed: every chunk is opened into one slot, in every action
  kWarm,      ///< open, and left in the caches by the action before
  kCold,      ///< open, but other weights have passed through the second-level cache since
};

/// Memory for the nodes of a model, used again from node to node so that no page is new.
class BenchArena {
 public:
  void Reset() { used_ = 0; }
  /// `floats` floats, 64-byte aligned, small random numbers the first time.
  float* Take(uint64_t floats);
  /// Room for all that one node needs. Invalidates what has been taken.
  void Reserve(uint64_t floats);

 private:
  std::vector<float> memory_;
  uint64_t used_ = 0;
};

/// A node with its operands in an arena: windows that hold what one action reads and makes.
class NodeTimer {
 public:
  /// Floats that a NodeTimer takes from the arena, at most.
  static uint64_t FloatsFor(const graph::Graph& graph, const graph::Node& node);

  /// `rows`: output rows of an action, at most the node's. Opens all weights.
  /// Requires: the model verified (seal::CheckAllChunks).
  NodeTimer(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
            seal::ChunkOpener& opener, BenchArena& arena);

  /// Milliseconds to compute all output rows once, action by action, at the pace that `rates` were
  /// measured at: each time is divided by the pace right before and after (machines shared with
  /// others drop to two thirds of it, often for many milliseconds); the least of some tries during
  /// which it was steady.
  double Milliseconds(Weights weights, host::Clock& clock, const plan::MachineRates& rates);
  /// Computes all output rows once.
  void ComputeOnce(Weights weights);

 private:
  void BindOperands(BenchArena& arena);
  kernels::Rows Bind(graph::TensorIndex tensor, uint32_t ring_rows, BenchArena& arena) const;
  void OpenWeights(BenchArena& arena);
  void ComputeAction(Weights weights, kernels::RowRange rows, const std::byte* held);
  void ComputeChunk(uint32_t chunk, const std::byte* text, kernels::RowRange rows,
                    kernels::Prefetch* prefetch);

  const graph::Graph& graph_;
  const graph::Node& node_;
  uint32_t rows_;
  uint32_t output_rows_;
  seal::ChunkOpener& opener_;
  std::vector<kernels::Rows> operands_;
  std::vector<kernels::Image> images_;
  std::span<std::byte> workspace_;
  std::byte* slot_ = nullptr;
  std::vector<std::byte*> copies_;  // of all weights, each whole
  uint32_t next_copy_ = 0;
  kernels::RowKernel row_kernel_ = nullptr;
  kernels::PanelKernel panel_kernel_ = nullptr;
};

}  // namespace coracle::bench

// GraphRunner: a network on whole tensors in ordinary memory, one node after the other.
//
// Owner side: for looking at what flows through a network (calibration, the errors of a quantised
// one) before it is sealed. No plan, no pool, no budget; weights are packed from the owner's
// constants chunk by chunk as they are needed, and the kernels are those of a prediction, so that
// outputs are a Session's bit for bit. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "graph/graph.h"
#include "kernels/kernel.h"

namespace coracle::compile {

/// Bytes that begin at a multiple of 64.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Zeros.
  explicit AlignedBytes(size_t count);
  std::byte* data() const { return bytes_.get(); }
  std::span<std::byte> span() const { return {bytes_.get(), count_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, kAlignment); }
  };
  std::unique_ptr<std::byte[], Free> bytes_;
  size_t count_ = 0;
};

class GraphRunner {
 public:
  /// Called for each graph input and each node's output once it is computed, in the order of the
  /// graph, with the tensor's elements (of its dtype, in its physical order). An error ends the
  /// run.
  using Visitor = std::function<Status(graph::TensorIndex tensor, Bytes elements)>;

  /// Requires: a verified kRows graph, weights cut and sources attached; both outlive the runner.
  /// Errors: kUnsupported naming a node that the kernels cannot compute, or a graph input that is
  /// not float32.
  static Result<GraphRunner> Make(const graph::Graph& graph, const kernels::KernelSet& kernels);

  /// One prediction: for each graph input its elements, in its port's order. Each tensor's memory
  /// is given back after its last reader. Requires: as many inputs as the graph has, each of its
  /// size.
  Status Run(std::span<const std::vector<float>> inputs, const Visitor& visit);

  /// The last Run's graph outputs, float32, in their ports' order. Requires: it succeeded.
  std::vector<std::vector<float>> Outputs() const;

 private:
  GraphRunner(const graph::Graph& graph, const kernels::KernelSet& kernels);
  void FillInput(const graph::Port& port, std::span<const float> values);
  void Reserve(graph::TensorIndex tensor);
  kernels::Rows RowsAt(graph::TensorIndex tensor, bool per_image, uint32_t image) const;
  void Compute(const graph::Node& node);
  void ComputePanels(const graph::Node& node, kernels::PanelKernel kernel,
                     std::span<const kernels::Image> images);
  void ComputeRows(const graph::Node& node, std::span<const kernels::Image> images);
  void Release(const graph::Node& node);

  const graph::Graph& graph_;
  const kernels::KernelSet& kernels_;
  std::vector<AlignedBytes> memory_;    ///< by tensor
  std::vector<uint32_t> reader_count_;  ///< by tensor; a graph output has one more
  std::vector<uint32_t> left_;          ///< of them, in this run
  AlignedBytes workspace_;
  AlignedBytes chunk_;
};

}  // namespace coracle::compile

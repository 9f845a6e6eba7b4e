// StepRunner: runs one bound step on the session's workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "host/outside.h"
#include "runtime/binding.h"
#include "runtime/workers.h"
#include "seal/reader.h"

namespace coracle::runtime {

/// What one worker needs of its own, on its own cache lines.
struct alignas(64) WorkerState {
  std::unique_ptr<seal::ChunkOpener> opener;
  uint64_t decrypted_bytes = 0;
  uint64_t decrypt_ns = 0;
  uint64_t host_calls_before = 0;
};

class StepRunner {
 public:
  /// `clock` may be null. All must outlive the runner.
  StepRunner(const graph::Graph& graph, std::span<std::byte> pool, Workers& workers,
             std::vector<WorkerState>& states, host::Clock* clock)
      : graph_(graph), pool_(pool), workers_(workers), states_(states), clock_(clock) {}

  /// Runs `bound`; `next` (may be null) is the step whose first chunk is prefetched at the end.
  /// kTampered: some chunk was not authentic; the step's output is not to be used.
  crypto::Verdict Run(const BoundStep& bound, const BoundStep* next);

 private:
  static void RunOnWorker(void* runner, uint32_t worker) {
    static_cast<StepRunner*>(runner)->Work(worker);
  }
  void Work(uint32_t worker);
  void WorkBand(uint32_t worker, kernels::RowRange band);
  void StreamPanels(uint32_t worker, kernels::RowRange rows);
  void StreamGroups(uint32_t worker, kernels::RowRange rows);
  void StreamGroup(uint32_t worker, uint32_t group, uint32_t following_group,
                   kernels::RowRange rows);
  void ComputeHeld(uint32_t worker, kernels::RowRange rows);
  void ComputeChunk(uint32_t worker, uint32_t chunk, const float* weights, kernels::RowRange rows,
                    kernels::Prefetch* prefetch);
  void OpenHeld(uint32_t worker);
  bool Open(uint32_t worker, const graph::ChunkDescriptor& chunk, std::byte* plain);
  kernels::Prefetch PrefetchOf(uint32_t worker, uint32_t following_group) const;
  std::span<std::byte> WorkspaceOf(uint32_t worker) const;
  uint32_t BandCount() const;
  kernels::RowRange BandRows(uint32_t band) const;

  const graph::Graph& graph_;
  const std::span<std::byte> pool_;
  Workers& workers_;
  std::vector<WorkerState>& states_;
  host::Clock* const clock_;

  const BoundStep* bound_ = nullptr;
  const BoundStep* next_ = nullptr;
  alignas(64) std::atomic<uint32_t> next_item_{0};
  alignas(64) std::atomic<bool> tampered_{false};
};

}  // namespace coracle::runtime

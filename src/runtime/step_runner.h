// StepRunner: runs one bound step on the session's workers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "host/outside.h"
#include "runtime/binding.h"
#include "runtime/row_store.h"
#include "runtime/session.h"
#include "runtime/workers.h"
#include "seal/reader.h"

namespace coracle::runtime {

/// What one worker needs of its own, on its own cache lines.
struct alignas(64) WorkerState {
  std::unique_ptr<seal::ChunkOpener> opener;
  uint32_t turn = 0;  ///< of the step at hand: the input that its actions are done for
  uint64_t decrypted_bytes = 0;
  uint64_t decrypt_ns = 0;
  uint64_t spilled_bytes = 0;
  uint64_t transferred_bytes = 0;
  uint64_t host_calls_before = 0;
};

/// How a step went; but for kDone, what it made is not to be used.
enum class [[nodiscard]] StepOutcome : uint8_t{
    kDone,
    kTamperedWeights,  ///< some chunk was not authentic
    kTamperedRows,     ///< some block of rows was not what had been sealed
    kSealRefused,      ///< SealOutcome::kRefused
};

class StepRunner {
 public:
  /// `store` is null if the plan keeps nothing outside; of `outside` the clock and the observer
  /// are used, which may be null. All must outlive the runner.
  StepRunner(std::span<std::byte> pool, Workers& workers, std::vector<WorkerState>& states,
             RowStore* store, const Outside& outside)
      : pool_(pool),
        workers_(workers),
        states_(states),
        store_(store),
        clock_(outside.clock),
        observer_(outside.observer) {}

  StepOutcome Run(const BoundStep& step);

  /// Opens `chunks`, shared out to all workers.
  StepOutcome OpenAll(std::span<const HeldChunk> chunks);

 private:
  /// Items that workers take one by one. Two take turns, so that one can be set back while the
  /// other is in use, without a barrier of its own.
  struct alignas(64) Claims {
    std::atomic<uint32_t> next{0};
  };

  StepOutcome RunJob(uint32_t workers, void (*job)(void* runner, uint32_t worker));
  bool Failed() const { return outcome_.load(std::memory_order_relaxed) != StepOutcome::kDone; }
  /// The first failure counts.
  void Fail(StepOutcome outcome);
  static bool AloneOn0(const BoundStep& step, const BoundAction& action);
  void Work(uint32_t worker);
  Claims& NextPhase(uint32_t worker, uint32_t& phase);
  void Do(uint32_t worker, const BoundAction& action, Claims& claims);
  void Compute(uint32_t worker, const BoundAction& action, Claims& claims);
  void Transfer(uint32_t worker, const BoundAction& action);
  void OpenBlock(uint32_t worker, const BoundWindow& window, uint32_t block);
  void SealBlock(uint32_t worker, const BoundWindow& window, uint32_t block);
  void ComputeGroup(uint32_t worker, const BoundAction& action, uint32_t group,
                    uint32_t following_group, kernels::RowRange rows);
  void ComputeChunk(uint32_t worker, const BoundPart& part, uint32_t chunk, const std::byte* text,
                    kernels::RowRange rows, kernels::Prefetch* prefetch);
  void OpenClaimed(uint32_t worker, Claims& claims);
  bool Open(uint32_t worker, const graph::ChunkDescriptor& chunk, std::byte* plain);
  kernels::Prefetch PrefetchOf(uint32_t worker, const BoundPart& part, uint32_t chunk,
                               uint64_t offset) const;
  kernels::Prefetch PrefetchSealed(uint32_t worker, const graph::ChunkDescriptor& chunk) const;
  kernels::Prefetch PrefetchFollowing(uint32_t worker, const BoundPart* following) const;
  std::span<std::byte> WorkspaceOf(uint32_t worker) const;

  const std::span<std::byte> pool_;
  Workers& workers_;
  std::vector<WorkerState>& states_;
  RowStore* const store_;
  host::Clock* const clock_;
  RunObserver* const observer_;

  const BoundStep* step_ = nullptr;
  std::span<const HeldChunk> held_;
  std::array<Claims, 2> claims_;
  alignas(64) std::atomic<StepOutcome> outcome_{StepOutcome::kDone};
};

}  // namespace coracle::runtime

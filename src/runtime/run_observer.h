// RunObserver: told what a session does next, by whoever wants to know it from beside: a tracer.
//
// Called on the thread that calls Session::Run, between what other workers do; whatever it takes is
// part of the prediction's time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "graph/chunk.h"
#include "plan/plan.h"

namespace coracle::runtime {

class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// Where the pool lies, once: before anything is written there.
  virtual void PoolReserved(std::span<const std::byte> pool) = 0;
  /// plan().steps[step] is next, elided ones too.
  virtual void StepComes(size_t step) = 0;
  /// A chunk of weights that are held or pinned is opened next. Those that are streamed are opened
  /// within their action.
  virtual void ChunkComes(const graph::ChunkDescriptor& chunk) = 0;
  /// An action of that kind, on part or window `index` of `step`, which is one of plan().steps.
  virtual void ActionComes(const plan::Step& step, plan::ActionKind kind, uint32_t index) = 0;
};

}  // namespace coracle::runtime

// PoolRegions: what a plan's pool holds at each moment, as a traced program tells it
// (base/trace_note.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "base/trace_note.h"
#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::cmd {

/// All of it is made beforehand, so that a prediction that is traced only points to it.
class PoolRegions {
 public:
  /// `pool`: where the pool begins in this process.
  PoolRegions(const graph::Graph& graph, const plan::Plan& plan, const std::byte* pool);

  /// Ranges that lie apart, ascending. Tensors that share memory are one: it has the name of the
  /// one that holds all others, or the names of all.
  std::span<const TraceRegion> BeforeSteps() const { return moments_.front(); }
  /// During plan.steps[step]. Of an elided one: empty, what was before it still holds.
  std::span<const TraceRegion> DuringStep(size_t step) const;
  std::span<const TraceRegion> AfterSteps() const { return moments_.back(); }

 private:
  std::vector<size_t> moment_of_step_;             ///< 0: elided
  std::vector<std::vector<TraceRegion>> moments_;  ///< before, each step that does something, after
  std::deque<std::string> names_;                  ///< that stay where they are
};

}  // namespace coracle::cmd

// FunctionUses: what each function of the program accesses, and the page loads that it causes.
// Threads: one at a time.
#pragma once

#include <vector>

#include "base/index.h"
#include "characterize/analysis/access_volume.h"
#include "characterize/program/trace_names.h"

namespace coracle::characterize {

class FunctionUses {
 public:
  struct Use {
    Volume volume;
    LoadCounts loads;
  };

  void Count(FunctionIndex function, const Volume& volume) { Of(function).volume.Add(volume); }
  /// The function's access loads a page in `memories` (LoadCounts).
  void CountLoads(FunctionIndex function, uint32_t memories) { Of(function).loads.Add(memories); }
  void Restart() { uses_.clear(); }

  /// By FunctionIndex; as many as were needed.
  const std::vector<Use>& uses() const { return uses_; }

 private:
  Use& Of(FunctionIndex function) {
    if (Position(function) >= uses_.size()) uses_.resize(Position(function) + 1);
    return uses_[Position(function)];
  }

  std::vector<Use> uses_;
};

}  // namespace coracle::characterize

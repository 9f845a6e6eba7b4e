// Ledger: who may use how much of one budget of secure memory.
//
// A lease is taken before the memory is, and returned after the memory has been. Taking more than
// is free is a bug of ours and ends the process: the budget is a promise, not a hint.
#pragma once

#include <cstdint>

namespace coracle::serve {

/// Threads: one at a time.
class Ledger {
 public:
  explicit Ledger(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  uint64_t budget_bytes() const { return budget_bytes_; }
  uint64_t leased_bytes() const { return leased_bytes_; }
  uint64_t leased_peak_bytes() const { return leased_peak_bytes_; }
  uint64_t free_bytes() const { return budget_bytes_ - leased_bytes_; }

  /// Requires: bytes <= free_bytes().
  void Take(uint64_t bytes);
  /// Requires: bytes <= leased_bytes().
  void Return(uint64_t bytes);

 private:
  const uint64_t budget_bytes_;
  uint64_t leased_bytes_ = 0;
  uint64_t leased_peak_bytes_ = 0;
};

}  // namespace coracle::serve

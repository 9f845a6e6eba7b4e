// Worker threads with small stacks, and sleeping on a word by futex.
#pragma once

#include "host/outside.h"

namespace coracle::host {

/// A worker's stack, guard page not included: enough for the kernels, small beside any budget.
inline constexpr uint32_t kThreadStackBytes = 256 * 1024;

/// Workers block every signal that can wait, so that handlers run on the program's own threads.
/// Threads: any.
class PosixThreads final : public Threads {
 public:
  Result<std::unique_ptr<Thread>> Start(std::function<void()> body) override;
  void Wait(const std::atomic<uint32_t>& word, uint32_t expected) override;
  void WakeAll(const std::atomic<uint32_t>& word) override;
};

}  // namespace coracle::host

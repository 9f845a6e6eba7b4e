// The ways in which a fault reaches whoever serves it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "swap_memory.h"

namespace coracle::bench {

/// Memory that swaps as it is touched. One at a time takes SIGBUS and SIGSEGV: between Begin and
/// End.
class SwapPath {
 public:
  virtual ~SwapPath() = default;
  virtual void Begin() = 0;
  virtual void End() = 0;
  virtual std::byte* page(uint64_t index) = 0;
  /// Since the last call.
  virtual SwapTicks TakeTicks() = 0;
};

/// Signals served in place: SIGBUS of userfaultfd, or SIGSEGV of mprotect (Moves::kProtect).
/// Null: the kernel refuses it.
std::unique_ptr<SwapPath> MakeSignalPath(Moves moves, uint32_t batch, uint64_t pages,
                                         uint64_t limit_pages);
/// userfaultfd's messages, read by a thread that is bound to `core`. Null: the kernel refuses it.
std::unique_ptr<SwapPath> MakeThreadPath(int core, uint64_t pages, uint64_t limit_pages);
/// epcrun's own pager, whose limit is as many pages.
std::unique_ptr<SwapPath> MakePagerPath(Moves moves, uint64_t pages, uint64_t limit_pages);

/// Binds the calling thread to one core.
void BindToCore(int core);

}  // namespace coracle::bench

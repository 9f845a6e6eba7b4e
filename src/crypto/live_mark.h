// A word that stands beside a key in the same piece of memory, and is gone when the key is.
#pragma once

#include <atomic>
#include <cstdint>

namespace coracle::crypto {

/// Key memory may be wiped behind our back: a fork shows the child zeros
/// (host::Memory::ReserveForProcess). A zeroed key looks like any other, so before and after each
/// use of a key one asks its mark. Threads: any.
class LiveMark {
 public:
  /// False once the memory around it has been wiped.
  bool stands() const { return word_.load(std::memory_order_relaxed) == kLive; }

 private:
  static constexpr uint64_t kLive = 0x6b65792069732068;  // any value but 0
  std::atomic<uint64_t> word_{kLive};
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace coracle::crypto

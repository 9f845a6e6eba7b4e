// A lock for signal handlers: no owner, no allocation, no libc. Not fair.
//
// Requires of its users: all blockable signals blocked while it is held, so that no handler of the
// same thread meets it.
#pragma once

#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {

class FutexLock {
 public:
  void Acquire() {
    uint32_t seen = kFree;
    if (word_.compare_exchange_strong(seen, kHeld, std::memory_order_acquire)) return;
    // "Futexes Are Tricky" (Drepper, 2011), mutex 2: whoever has waited leaves it marked as waited
    // for.
    while (word_.exchange(kWaitedFor, std::memory_order_acquire) != kFree) {
      RawCall(SYS_futex, AsLong(&word_), FUTEX_WAIT_PRIVATE, kWaitedFor, 0);
    }
  }
  void Release() {
    if (word_.exchange(kFree, std::memory_order_release) == kWaitedFor) {
      RawCall(SYS_futex, AsLong(&word_), FUTEX_WAKE_PRIVATE, 1);
    }
  }

 private:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kWaitedFor = 2;
  std::atomic<uint32_t> word_{kFree};
};
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(FutexLock) == 4);

class LockHeld {
 public:
  explicit LockHeld(FutexLock& lock) : lock_(lock) { lock_.Acquire(); }
  ~LockHeld() { lock_.Release(); }
  LockHeld(const LockHeld&) = delete;
  LockHeld& operator=(const LockHeld&) = delete;

 private:
  FutexLock& lock_;
};

}  // namespace coracle::epc

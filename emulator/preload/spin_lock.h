// A lock for code that may call nothing of libc. Taken with all signals blocked, held for short.
#pragma once

#include <sys/syscall.h>

#include <atomic>

#include "emulator/preload/raw_call.h"

namespace coracle::epc {

class SpinLock {
 public:
  void Lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) AskKernel(SYS_sched_yield);
  }
  void Unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

class [[nodiscard]] Locked {
 public:
  explicit Locked(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
  ~Locked() { lock_.Unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace coracle::epc

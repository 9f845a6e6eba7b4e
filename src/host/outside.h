// The other things that come from the untrusted outside: time, entropy, memory, threads, sleeping.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace coracle::host {

/// Monotonic time. Never used for a security decision. posix: no system call (vDSO).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t NowNanoseconds() = 0;
};

class Entropy {
 public:
  virtual ~Entropy() = default;
  /// Fills `out` with random bytes. Errors: kUnavailable.
  virtual Status Fill(std::span<std::byte> out) = 0;
};

/// A fixed piece of secure memory, page-aligned, zeroed when freed. Lives as long as the object.
class MemoryRegion {
 public:
  virtual ~MemoryRegion() = default;
  virtual std::span<std::byte> bytes() = 0;
};

class Memory {
 public:
  virtual ~Memory() = default;
  /// Errors: kUnavailable.
  virtual Result<std::unique_ptr<MemoryRegion>> Reserve(uint64_t bytes) = 0;
  /// Memory for keys: it stays with this process. After a fork the child finds zeros in its place;
  /// it is left out of core dumps and, where the system lets us, never swapped out.
  /// Errors: kUnavailable, also where the system cannot promise the zeros.
  virtual Result<std::unique_ptr<MemoryRegion>> ReserveForProcess(uint64_t bytes) = 0;
};

/// A piece of the host's memory. Trust: none. The host reads it, and may change it at any moment,
/// also while we read it; it is written and read, never kept pointers in. Page-aligned. Lives as
/// long as the object, at one place and with one size.
class OutsideRegion {
 public:
  virtual ~OutsideRegion() = default;
  virtual std::span<std::byte> bytes() = 0;
};

/// Where sealed things wait that have no room inside. An implementation for a TEE makes sure that
/// the whole region lies outside of secure memory, whatever the host answered.
class OutsideMemory {
 public:
  virtual ~OutsideMemory() = default;
  /// Exactly `bytes` bytes of any content. Errors: kUnavailable.
  virtual Result<std::unique_ptr<OutsideRegion>> Reserve(uint64_t bytes) = 0;
};

/// Joins when destroyed.
class Thread {
 public:
  virtual ~Thread() = default;
};

/// Starts threads and lets them sleep on a word. Wait and WakeAll make one futex call each at most.
class Threads {
 public:
  virtual ~Threads() = default;
  /// Errors: kUnavailable.
  virtual Result<std::unique_ptr<Thread>> Start(std::function<void()> body) = 0;
  /// Sleeps while *word == expected (may wake spuriously).
  virtual void Wait(const std::atomic<uint32_t>& word, uint32_t expected) = 0;
  virtual void WakeAll(const std::atomic<uint32_t>& word) = 0;
};

}  // namespace coracle::host

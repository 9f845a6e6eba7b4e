#include "host/posix/blob_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

struct Range {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};  // 0: nothing mapped (yet, or any more)
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

// The documented exceptions to "no mutable globals": a signal handler reaches nothing else.
Range ranges[kMaxMappedBlobs];
std::atomic<uintptr_t> page_bytes{0};
struct sigaction previous_action {};

bool IsMappedBlob(uintptr_t address) {
  for (const Range& range : ranges) {
    const uintptr_t end = range.end.load(std::memory_order_acquire);
    if (address < end && address >= range.begin.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

/// Async-signal-safe: lock-free loads and one system call.
void OnBusError(int, siginfo_t* info, void*) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const uintptr_t page = page_bytes.load(std::memory_order_relaxed);
  const bool from_kernel = info->si_code > 0;  // else si_addr holds the sender
  if (from_kernel && IsMappedBlob(address)) {
    const long mapped = ::syscall(SYS_mmap, address & ~(page - 1), page, PROT_READ,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
    if (mapped != -1) {
      errno = saved_errno;
      return;  // the read is repeated, and finds zeros
    }
  }
  // Not ours: returning repeats the access under the earlier disposition.
  ::sigaction(SIGBUS, &previous_action, nullptr);
  errno = saved_errno;
}

}  // namespace

Status GuardMappedBlobs() {
  if (page_bytes.load(std::memory_order_relaxed) != 0) return {};
  page_bytes.store(static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE)), std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGBUS, &action, &previous_action) != 0) {
    return SystemError("handle", "SIGBUS", errno);
  }
  return {};
}

std::optional<BlobGuardSlot> BlobGuardSlot::Take(Bytes mapped) {
  for (uint32_t i = 0; i < kMaxMappedBlobs; ++i) {
    bool expected = false;
    if (!ranges[i].taken.compare_exchange_strong(expected, true, std::memory_order_acquire)) {
      continue;
    }
    const auto begin = reinterpret_cast<uintptr_t>(mapped.data());
    ranges[i].begin.store(begin, std::memory_order_relaxed);
    ranges[i].end.store(begin + mapped.size(), std::memory_order_release);
    return BlobGuardSlot(i);
  }
  return std::nullopt;
}

void BlobGuardSlot::Release() {
  const uint32_t index = std::exchange(index_, kReleased);
  if (index == kReleased) return;
  ranges[index].end.store(0, std::memory_order_relaxed);
  ranges[index].taken.store(false, std::memory_order_release);
}

}  // namespace coracle::host

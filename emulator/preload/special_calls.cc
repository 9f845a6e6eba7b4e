// The calls that are not only held and performed: memory, signals, threads, descriptors of our own,
// and those whose arguments mean one thing or another.

#include <asm/prctl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/epc_mark.h"
#include "emulator/preload/call.h"
#include "emulator/preload/descriptors.h"
#include "emulator/preload/entry.h"
#include "emulator/preload/execution.h"
#include "emulator/preload/futex_calls.h"
#include "emulator/preload/holding.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"
#include "emulator/preload/signal_calls.h"
#include "emulator/preload/threads.h"
#include "emulator/preload/transfer.h"

namespace coracle::epc {
namespace {

constexpr int kSetUserDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH
constexpr int kSetName = PR_SET_NAME;
constexpr int kSetRegionName = 0x53564d41;  // PR_SET_VMA
constexpr int kShadowStackFirst = 0x5001;   // ARCH_SHSTK_ENABLE and the next
constexpr int kShadowStackLast = 0x5005;
/// Structs behind arguments of prctl and of ioctls that do not tell their size are shorter.
constexpr uint64_t kStructBytesMax = 512;

long DoMemoryCall(Call& call) {
  Pager& pager = *call.process.pager;
  call.process.blocks.ReleaseGone(pager);
  const auto& a = call.arguments;
  const auto number = [&a](int i) { return static_cast<int>(a[i]); };
  switch (call.number) {
    case SYS_mmap:
      return pager.Map(call.address(0), call.address(1), number(2), number(3), number(4), a[5]);
    case SYS_munmap:
      return pager.Unmap(call.address(0), call.address(1));
    case SYS_mremap:
      return pager.Remap(call.address(0), call.address(1), call.address(2), number(3),
                         call.address(4));
    case SYS_mprotect:
      return pager.Protect(call.address(0), call.address(1), number(2), -1);
    case SYS_pkey_mprotect:
      return pager.Protect(call.address(0), call.address(1), number(2), number(3));
    case SYS_madvise:
      return pager.Advise(call.address(0), call.address(1), number(2));
    default:
      return pager.Break(call.address(0));
  }
}

long DoIoctl(Call& call) {
  const auto request = static_cast<uint32_t>(call.arguments[1]);
  HeldArguments held(call);
  const uint64_t told = _IOC_SIZE(request);
  HoldOutcome outcome = held.Bytes(call.address(2), told != 0 ? told : kStructBytesMax);
  if (request == SIOCGIFCONF && outcome == HoldOutcome::kHeld) {
    ifconf list = {};
    if (!PeekValue(call.address(2), list)) return -EFAULT;
    outcome =
        held.Bytes(reinterpret_cast<uintptr_t>(list.ifc_buf), static_cast<uint32_t>(list.ifc_len));
  }
  if (outcome == HoldOutcome::kTooLarge) return RefusedHold(call, outcome);
  return PerformUncertain(call, held);
}

long DoSetsockopt(Call& call, const SystemCall& entry) {
  HeldArguments held(call);
  HoldOutcome outcome = held.HoldAll(entry);
  const long option = call.arguments[2];
  const bool is_filter = call.arguments[1] == SOL_SOCKET &&
                         (option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF);
  if (is_filter && outcome == HoldOutcome::kHeld) outcome = held.Filter(call.address(3));
  return PerformHeld(call, held, outcome);
}

uint64_t Nanoseconds() {
  timespec now = {};
  AskKernel(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

long NoteMark(RunRecord& record, uint64_t label) {
  const uint32_t index = record.marks_count.fetch_add(1);
  if (index < kMarksMax) {
    record.marks[index] = {label,
                           Nanoseconds(),
                           record.faults.load(),
                           record.loads.load(),
                           record.evictions.load(),
                           record.zero_fills.load()};
  }
  return 0;
}

long DoPrctl(Call& call) {
  const int option = static_cast<int>(call.arguments[0]);
  if (option == kEpcMarkCall) return NoteMark(*call.process.record, call.address(1));
  if (option == kSetUserDispatch) return -EINVAL;
  HeldArguments held(call);
  HoldOutcome outcome = HoldOutcome::kHeld;
  if (option == kSetRegionName) {
    // Its other arguments are a region that nobody touches.
    if (call.address(4) != 0) outcome = held.String(call.address(4));
  } else if (option == PR_SET_SECCOMP) {
    outcome = held.Filter(call.address(2));
  } else {
    for (int i = 1; i < 5 && outcome == HoldOutcome::kHeld; ++i) {
      outcome = held.Bytes(call.address(i), kStructBytesMax);
    }
  }
  const long result = PerformHeld(call, held, outcome);
  if (option == kSetName && result == 0) Introduce(call.block);
  return result;
}

long DoArchPrctl(Call& call) {
  const int option = static_cast<int>(call.arguments[0]);
  // Our way back from handlers knows no shadow stack.
  if (option >= kShadowStackFirst && option <= kShadowStackLast) return -EOPNOTSUPP;
  HeldArguments held(call);
  const bool sets_base = option == ARCH_SET_FS || option == ARCH_SET_GS;
  const HoldOutcome outcome =
      sets_base ? HoldOutcome::kHeld : held.Bytes(call.address(1), kStructBytesMax);
  return PerformHeld(call, held, outcome);
}

/// Calls that leave the kernel an address to write to later: the tid word, robust list, rseq.
long DoLastingAddress(Call& call) {
  uint64_t bytes = sizeof(int32_t);
  if (call.number == SYS_set_robust_list) bytes = call.address(1);
  if (call.number == SYS_rseq) bytes = call.address(1) & UINT32_MAX;
  if (bytes > kPageBytes) return -EINVAL;
  const HoldOutcome outcome = Pin(call.process, call.block, call.address(0), bytes);
  if (outcome == HoldOutcome::kTooLarge) return RefusedHold(call, outcome);
  return Perform(call, call.arguments, During::kBlocked);
}

}  // namespace

long DoSpecial(Call& call, const SystemCall& entry) {
  switch (call.number) {
    case SYS_mmap:
    case SYS_munmap:
    case SYS_mremap:
    case SYS_mprotect:
    case SYS_pkey_mprotect:
    case SYS_madvise:
    case SYS_brk:
      return DoMemoryCall(call);
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigreturn:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigpending:
    case SYS_sigaltstack:
      return DoSignalCall(call);
    case SYS_close:
    case SYS_close_range:
    case SYS_dup2:
    case SYS_dup3:
      return DoDescriptorCall(call);
    case SYS_clone:
    case SYS_fork:
    case SYS_vfork:
      return DoClone(call);
    case SYS_execve:
    case SYS_execveat:
      return DoExecute(call);
    case SYS_exit:
      return DoExit(call);
    case SYS_exit_group:
      return Perform(call, call.arguments, During::kBlocked);
    case SYS_futex:
      return DoFutex(call);
    case SYS_futex_waitv:
      return DoFutexWaitv(call);
    case SYS_ioctl:
      return DoIoctl(call);
    case SYS_setsockopt:
      return DoSetsockopt(call, entry);
    case SYS_sendmsg:
    case SYS_recvmsg:
      return TransferMessage(call, entry);
    case SYS_prctl:
      return DoPrctl(call);
    case SYS_arch_prctl:
      return DoArchPrctl(call);
    case SYS_set_tid_address:
    case SYS_set_robust_list:
    case SYS_rseq:
      return DoLastingAddress(call);
    default:
      return DoUnlisted(call);
  }
}

}  // namespace coracle::epc

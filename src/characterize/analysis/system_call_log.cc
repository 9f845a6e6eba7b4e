#include "characterize/analysis/system_call_log.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/checked.h"
#include "base/epc_mark.h"

namespace coracle::characterize {
namespace {

constexpr int64_t kErrorLeast = -4095;
constexpr uint64_t kVectorsMax = 1024;  // IOV_MAX

/// Whether the vDSO answers without a system call: vdso(7), and the clocks of
/// lib/vdso/gettimeofday.c in Linux.
bool IsAnsweredByVdso(const SystemCall& call) {
  constexpr uint64_t kClocks = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11;
  const uint64_t clock = call.arguments[0];
  switch (call.number) {
    case SYS_clock_gettime:
    case SYS_clock_getres:
      return clock < 64 && (kClocks >> clock & 1) != 0;
    case SYS_gettimeofday:
    case SYS_time:
    case SYS_getcpu:
      return true;
    default:
      return false;
  }
}

/// What QEMU does not know, and Linux does: that it fails here says nothing of the program.
bool IsRefusedByQemu(int64_t number) {
  return number == SYS_clone3 || number == SYS_rseq || number == SYS_set_robust_list;
}

/// A call whose buffer the kernel reads or writes: where its address is, and whether its length is
/// the result (a read) or an argument.
struct BufferCall {
  int64_t number;
  uint8_t address_argument;
  bool kernel_writes;
};
constexpr BufferCall kBufferCalls[] = {
    {SYS_read, 1, true},       {SYS_pread64, 1, true},    {SYS_recvfrom, 1, true},
    {SYS_getrandom, 0, true},  {SYS_write, 1, false},     {SYS_pwrite64, 1, false},
    {SYS_sendto, 1, false},    {SYS_getdents64, 1, true}, {SYS_readlink, 1, true},
    {SYS_readlinkat, 2, true},
};

/// The guest's addresses are the tracer's own.
void ConsumeVectors(const SystemCall& call, uint64_t bytes, bool writes, TraceAnalysis& analysis) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* vectors = reinterpret_cast<const iovec*>(call.arguments[1]);
  const uint64_t count = std::min(call.arguments[2], kVectorsMax);
  for (uint64_t i = 0; i < count && bytes > 0; ++i) {
    const uint64_t part = std::min<uint64_t>(vectors[i].iov_len, bytes);
    analysis.ConsumeKernel(reinterpret_cast<uintptr_t>(vectors[i].iov_base), part, writes);
    bytes -= part;
  }
}

bool IsProcess(const SystemCall& call) {
  if (call.number == SYS_fork || call.number == SYS_vfork) return true;
  return call.number == SYS_clone && (call.arguments[0] & CLONE_THREAD) == 0;
}

}  // namespace

void SystemCallLog::Enter(const SystemCall& call) {
  ++CountsOf(call).calls;
  if (call.number == SYS_execve || call.number == SYS_execveat) replaced_ = true;
}

void SystemCallLog::Restart() {
  calls_.clear();
  vdso_calls_.clear();
  threads_started_ = 0;
  processes_started_ = 0;
}

void SystemCallLog::Return(const SystemCall& call, int64_t result, TraceAnalysis& analysis) {
  // Only epcrun knows this call; the kernel refuses it.
  if (call.number == SYS_prctl && call.arguments[0] == uint64_t{kEpcMarkCall}) {
    analysis.AddMark(call.arguments[1]);
  }
  if (call.number == SYS_execve || call.number == SYS_execveat) replaced_ = false;
  if (result == -ENOSYS && IsRefusedByQemu(call.number)) {
    // glibc makes do: it calls clone in the place of clone3.
    if (call.number == SYS_clone3 && CallsOf(SYS_clone3) != 0) --calls_[SYS_clone3].calls;
    return;
  }
  if (result < 0 && result >= kErrorLeast) {
    ++CountsOf(call).errors;
    return;
  }
  const auto value = static_cast<uint64_t>(result);
  const std::array<uint64_t, 6>& arguments = call.arguments;
  switch (call.number) {
    case SYS_mmap:
      return ReturnFromMap(call, value, analysis);
    case SYS_munmap:
      return analysis.Unmap(arguments[0], arguments[1]);
    case SYS_mremap:
      return analysis.Move(arguments[0], RoundUp(arguments[1], kPageBytes), value,
                           RoundUp(arguments[2], kPageBytes));
    case SYS_brk:
      return analysis.SetBreak(value);
    case SYS_madvise:
      if (arguments[2] != MADV_DONTNEED && arguments[2] != MADV_REMOVE) return;
      return analysis.Discard(arguments[0], arguments[1]);
    case SYS_readv:
      return ConsumeVectors(call, value, true, analysis);
    case SYS_writev:
      return ConsumeVectors(call, value, false, analysis);
    case SYS_clone:
    case SYS_fork:
    case SYS_vfork:
      ++(IsProcess(call) ? processes_started_ : threads_started_);
      return;
    default:
      break;
  }
  for (const BufferCall& buffer : kBufferCalls) {
    if (buffer.number != call.number) continue;
    analysis.ConsumeKernel(arguments[buffer.address_argument], value, buffer.kernel_writes);
  }
}

void SystemCallLog::ReturnFromMap(const SystemCall& call, uint64_t address,
                                  TraceAnalysis& analysis) const {
  const uint64_t bytes = RoundUp(call.arguments[1], kPageBytes);
  const uint64_t protection = call.arguments[2];
  const uint64_t flags = call.arguments[3];
  Mapping mapping{MemoryKind::kAnonymous, (flags & MAP_ANONYMOUS) != 0, address, bytes, "", false};
  if (!mapping.anonymous) {
    mapping.name = file_name_(call.arguments[4]);
    mapping.file_offset = call.arguments[5];
  }
  if ((flags & MAP_PRIVATE) == 0) {
    mapping.kind = MemoryKind::kShared;
  } else if (!mapping.anonymous) {
    mapping.kind = (protection & PROT_WRITE) != 0 ? MemoryKind::kProgramData : MemoryKind::kFile;
  } else if ((flags & (MAP_STACK | MAP_GROWSDOWN)) != 0) {
    mapping.kind = MemoryKind::kStack;
  } else if ((flags & MAP_FIXED) != 0) {
    // What the loader puts behind a library's data: its .bss.
    const MemoryMap::Piece* before = address == 0 ? nullptr : analysis.map().Find(address - 1);
    const bool follows_data = before != nullptr && analysis.map().mapping(before->mapping).kind ==
                                                       MemoryKind::kProgramData;
    if (follows_data) mapping.kind = MemoryKind::kProgramData;
  }
  analysis.Map(std::move(mapping));
}

SystemCallLog::Counts& SystemCallLog::CountsOf(const SystemCall& call) {
  return (IsAnsweredByVdso(call) ? vdso_calls_ : calls_)[call.number];
}

uint64_t SystemCallLog::CallsOf(int64_t number) const {
  const auto at = calls_.find(number);
  return at == calls_.end() ? 0 : at->second.calls;
}

uint64_t SystemCallLog::signals_handled() const { return CallsOf(SYS_rt_sigreturn); }

uint64_t SystemCallLog::signals_sent() const {
  return CallsOf(SYS_kill) + CallsOf(SYS_tkill) + CallsOf(SYS_tgkill);
}

}  // namespace coracle::characterize

#include "characterize/analysis/recorder_loading.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/checked.h"
#include "characterize/program/program_memory.h"

namespace coracle::characterize {

bool RecorderLoading::IsOpening(const SystemCall& call) const {
  if (path_.empty() || bytes_ != 0 || call.number != SYS_openat) return false;
  return TextFromProgram(call.arguments[1], path_.size() + 1) == path_;
}

bool RecorderLoading::Makes(const SystemCall& call) const {
  switch (call.number) {
    case SYS_openat:
      return IsOpening(call);
    case SYS_read:
    case SYS_pread64:
    case SYS_fstat:
    case SYS_newfstatat:
    case SYS_close:
      return descriptor_ && call.arguments[0] == *descriptor_;
    case SYS_mmap:
      if (Holds(call.arguments[0])) return true;
      return descriptor_ && (call.arguments[3] & MAP_ANONYMOUS) == 0 &&
             call.arguments[4] == *descriptor_;
    case SYS_mprotect:
    case SYS_munmap:
      return Holds(call.arguments[0]);
    default:
      return false;
  }
}

void RecorderLoading::Return(const SystemCall& call, int64_t result) {
  if (result < 0) return;
  switch (call.number) {
    case SYS_openat:
      descriptor_ = static_cast<uint64_t>(result);
      return;
    case SYS_close:
      descriptor_.reset();
      return;
    case SYS_mmap:
      // The first is for all of it; the others lie within.
      if (bytes_ != 0) return;
      begin_ = static_cast<uint64_t>(result);
      bytes_ = RoundUp(call.arguments[1], kPageBytes);
      return;
    default:
      return;
  }
}

}  // namespace coracle::characterize

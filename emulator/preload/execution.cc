#include "emulator/preload/execution.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>

#include "emulator/pager/own_memory.h"
#include "emulator/preload/holding.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kPreloadPrefix = sizeof("LD_PRELOAD=") - 1;
constexpr uint64_t kHandoverPrefix = sizeof("EPCRUN_HANDOVER=") - 1;

bool StartsAs(const char* text, const char* prefix, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; ++i) {
    if (text[i] != prefix[i]) return false;
  }
  return true;
}

/// Copies of the program's strings and pointer arrays, in one mapping: pointers grow from its
/// beginning, strings after them.
class ExecCopy {
 public:
  static constexpr uint64_t kPointersMax = 512 << 10;
  static constexpr uint64_t kBytes = (kPointersMax * sizeof(char*)) + (12 << 20);

  explicit ExecCopy(Call& call) : call_(call) {
    auto* const mapped = static_cast<char*>(MapOwn(kBytes));
    if (mapped == nullptr) return;
    call.block.exec_copy = reinterpret_cast<uintptr_t>(mapped);
    pointers_ = reinterpret_cast<char**>(mapped);
    text_ = mapped + kPointersMax * sizeof(char*);
    text_end_ = mapped + kBytes;
  }

  bool mapped() const { return pointers_ != nullptr; }

  /// Errors: -EFAULT, -E2BIG.
  long String(uintptr_t at, char*& copy) {
    copy = text_;
    for (;;) {
      const uintptr_t page_end = (at | (kPageBytes - 1)) + 1;
      const uint64_t bytes = page_end - at;
      if (static_cast<uint64_t>(text_end_ - text_) < bytes) return -E2BIG;
      CallHolds holds(call_.block, *call_.process.pager, call_.frame());
      if (holds.Bytes(at, bytes) == HoldOutcome::kTooLarge ||
          !PeekProgram(at, std::as_writable_bytes(std::span(text_, bytes)))) {
        return -EFAULT;
      }
      for (uint64_t i = 0; i < bytes; ++i) {
        if (*text_++ == '\0') return 0;
      }
      at = page_end;
    }
  }

  /// An array that ends with null. A null `at` is an empty one.
  long Strings(uintptr_t at, char**& copy) {
    copy = pointers_ + pointers_used_;
    for (;; at += sizeof(uintptr_t)) {
      uintptr_t string = 0;
      if (at != 0) {
        CallHolds holds(call_.block, *call_.process.pager, call_.frame());
        if (holds.Bytes(at, sizeof string) == HoldOutcome::kTooLarge || !PeekValue(at, string)) {
          return -EFAULT;
        }
      }
      if (string == 0) return Add(nullptr);
      char* text = nullptr;
      const long result = String(string, text);
      if (result < 0) return result;
      const long added = Add(text);
      if (added < 0) return added;
    }
  }

  /// Makes the environment that was copied last start the next program inside.
  long HandOn(char** environment) {
    HandedOn& ours = call_.process.handed_on;
    char** kept = environment;
    for (char** variable = environment; *variable != nullptr; ++variable) {
      if (StartsAs(*variable, ours.handover, kHandoverPrefix)) continue;
      if (StartsAs(*variable, ours.preload, kPreloadPrefix)) continue;
      *kept++ = *variable;
    }
    pointers_used_ = static_cast<uint64_t>(kept - pointers_);
    if (const long added = Add(ours.preload); added < 0) return added;
    if (const long added = Add(ours.handover); added < 0) return added;
    return Add(nullptr);
  }

 private:
  long Add(char* text) {
    if (pointers_used_ == kPointersMax) return -E2BIG;
    pointers_[pointers_used_++] = text;
    return 0;
  }

  Call& call_;
  char** pointers_ = nullptr;
  uint64_t pointers_used_ = 0;
  char* text_ = nullptr;
  char* text_end_ = nullptr;
};

long Execute(Call& call, ExecCopy& copy) {
  const int path = call.number == SYS_execve ? 0 : 1;
  long arguments[6] = {call.arguments[0], call.arguments[1], call.arguments[2],
                       call.arguments[3], call.arguments[4], call.arguments[5]};
  char* path_copy = nullptr;
  char** argv = nullptr;
  char** environment = nullptr;
  if (const long result = copy.String(call.address(path), path_copy); result < 0) return result;
  if (const long result = copy.Strings(call.address(path + 1), argv); result < 0) return result;
  if (const long result = copy.Strings(call.address(path + 2), environment); result < 0) {
    return result;
  }
  const bool inside = call.process.inside && !call.block.starting_a_program;
  if (inside) {
    if (const long result = copy.HandOn(environment); result < 0) return result;
    AskKernel(SYS_fcntl, call.process.record_fd, F_SETFD, 0);
    // Until the library is there again: the next program's loader may not take it.
    call.process.record->state.store(RunState::kStarting);
  }
  arguments[path] = reinterpret_cast<long>(path_copy);
  arguments[path + 1] = reinterpret_cast<long>(argv);
  arguments[path + 2] = reinterpret_cast<long>(environment);
  const long result = Perform(call, arguments, During::kProgramMask);
  if (inside) {
    AskKernel(SYS_fcntl, call.process.record_fd, F_SETFD, FD_CLOEXEC);
    call.process.record->state.store(RunState::kInside);
  }
  return result;
}

}  // namespace

void ReleaseExecCopy(ThreadBlock& block) {
  AskKernel(SYS_munmap, block.exec_copy, ExecCopy::kBytes);
  block.exec_copy = 0;
}

long DoExecute(Call& call) {
  ExecCopy copy(call);
  if (!copy.mapped()) return -ENOMEM;
  const long result = Execute(call, copy);
  ReleaseExecCopy(call.block);
  return result;
}

}  // namespace coracle::epc

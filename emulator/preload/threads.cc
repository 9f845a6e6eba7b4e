#include "emulator/preload/threads.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>

#include "emulator/preload/entry.h"
#include "emulator/preload/execution.h"
#include "emulator/preload/holding.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// The state that the kernel saved beside the registers: its size (Linux, asm/sigcontext.h,
/// struct _fpx_sw_bytes at offset 464 of the 512 bytes of FXSAVE).
constexpr uint64_t kSoftwareBytesOffset = 464;
constexpr uint32_t kExtendedMagic = 0x46505853;
constexpr uint64_t kLegacyStateBytes = 512;

struct SoftwareBytes {
  uint32_t magic;
  uint32_t extended_bytes;
};

struct CloneArguments {
  uint64_t flags;
  uintptr_t stack;
  uintptr_t parent_tid;
  uintptr_t child_tid;
  uintptr_t thread_pointer;
};

CloneArguments ArgumentsOf(const Call& call) {
  if (call.number == SYS_fork || call.number == SYS_vfork) return {SIGCHLD, 0, 0, 0, 0};
  return {call.address(0), call.address(1), call.address(2), call.address(3), call.address(4)};
}

void CopyBytes(void* to, const void* from, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes / 8; ++i) {
    static_cast<uint64_t*>(to)[i] = static_cast<const uint64_t*>(from)[i];
  }
}

uint64_t StateBytes(const void* state) {
  SoftwareBytes software;
  CopyBytes(&software, static_cast<const std::byte*>(state) + kSoftwareBytesOffset,
            sizeof software);
  return software.magic == kExtendedMagic ? software.extended_bytes : kLegacyStateBytes;
}

/// A copy of the frame that `call` returns by, on `child`'s stack at the same offset (blocks have
/// the same alignment), for a thread that goes on with result 0 on `stack`.
ucontext_t& CopyFrame(const Call& call, ThreadBlock& child, uintptr_t stack) {
  const auto from = reinterpret_cast<uintptr_t>(&call.context);
  const uintptr_t moved =
      reinterpret_cast<uintptr_t>(&child) - reinterpret_cast<uintptr_t>(&call.block);
  auto& frame = *reinterpret_cast<ucontext_t*>(from + moved);
  // The kernel's ucontext is shorter than libc's; what follows it is the frame's own.
  CopyBytes(&frame, &call.context, offsetof(ucontext_t, uc_sigmask) + sizeof(SignalSet));
  const auto state = reinterpret_cast<uintptr_t>(call.context.uc_mcontext.fpregs);
  if (state != 0) {
    const uint64_t bytes = StateBytes(reinterpret_cast<void*>(state));
    CopyBytes(reinterpret_cast<void*>(state + moved), reinterpret_cast<void*>(state), bytes);
    frame.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(state + moved);
  }
  frame.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(stack);
  frame.uc_mcontext.gregs[REG_RAX] = 0;
  frame.uc_stack.ss_sp = reinterpret_cast<void*>(child.stack_begin());
  frame.uc_stack.ss_flags = 0;
  frame.uc_stack.ss_size = child.stack_end() - child.stack_begin();
  return frame;
}

/// A new thread's first steps; `argument` is its frame, on its own block's stack.
void BeginThread(void* argument) {
  ThreadBlock& block = BlockAround(argument);
  UseAlternateStack(block);
  Introduce(block);
  (void)DispatchSystemCalls(*the_process);  // the first thread's has worked
  epcrun_resume(argument);
}

long StartThread(Call& call, const CloneArguments& arguments) {
  Process& process = call.process;
  process.blocks.ReleaseGone(*process.pager);
  ThreadBlock* const child = process.blocks.Take(*process.record);
  if (child == nullptr) return -EAGAIN;
  HeldArguments held(call);
  held.Bytes(arguments.parent_tid, sizeof(int32_t));
  if ((arguments.flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0) {
    Pin(process, *child, arguments.child_tid, sizeof(int32_t));
  }
  child->starting_a_program =
      call.block.starting_a_program || (arguments.flags & CLONE_THREAD) == 0;
  ucontext_t& frame = CopyFrame(call, *child, arguments.stack);
  // Below what the frame takes, 64 bytes aligned.
  const uintptr_t stack = (reinterpret_cast<uintptr_t>(&frame) - 128) & ~uintptr_t{63};
  const long result =
      epcrun_clone(arguments.flags, stack, arguments.parent_tid, arguments.child_tid,
                   arguments.thread_pointer, &BeginThread, &frame);
  // A vfork is over when it returns. Otherwise the block is the child's, and perhaps another's by
  // now.
  if (result < 0 || (arguments.flags & CLONE_VFORK) != 0) {
    if (child->exec_copy != 0) ReleaseExecCopy(*child);
    process.blocks.Give(*child, *process.pager);
  }
  return result;
}

/// Everything that only a single-threaded copy of us can mend. All signals are blocked.
void BeginChildProcess(Call& call, const CloneArguments& arguments) {
  Process& process = call.process;
  process.inside = false;
  // Its counts are its own from here on, and nobody's.
  AskKernel(SYS_mmap, process.record, sizeof(RunRecord), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_FIXED, process.record_fd, 0);
  process.actions.Unlock();
  process.blocks.Unlock();
  process.blocks.KeepOnly(call.block);
  process.pager->AfterForkInChild();
  call.block.tid = static_cast<int32_t>(AskKernel(SYS_gettid));
  if (arguments.stack != 0) {
    call.context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(arguments.stack);
  }
  (void)DispatchSystemCalls(process);  // it worked in the parent
}

long Fork(Call& call, const CloneArguments& arguments) {
  Process& process = call.process;
  HeldArguments held(call);
  held.Bytes(arguments.parent_tid, sizeof(int32_t));
  held.Bytes(arguments.child_tid, sizeof(int32_t));
  const uint64_t flags = arguments.flags & ~uint64_t{CLONE_VM | CLONE_VFORK};
  process.actions.Lock();
  process.blocks.Lock();
  process.pager->BeforeFork();
  const long result = AskKernel(SYS_clone, flags, 0, arguments.parent_tid, arguments.child_tid,
                                arguments.thread_pointer);
  if (result == 0) {
    BeginChildProcess(call, arguments);
    return 0;
  }
  process.pager->AfterForkInParent();
  process.blocks.Unlock();
  process.actions.Unlock();
  return result;
}

void CountChild(Process& process, long child) {
  process.record->children.fetch_add(1);
  if (!process.inside || !process.FirstTime(Remark::kChild)) return;
  Line line("epcrun: process ");
  line.AddNumber(static_cast<uint64_t>(child)).Add(", a child, runs outside, as all children do");
  Say(line);
}

}  // namespace

HoldOutcome Pin(Process& process, ThreadBlock& block, uintptr_t begin, uint64_t bytes) {
  if (begin == 0) return HoldOutcome::kHeld;
  if (block.pins.count == Hold::kRangesMax) return HoldOutcome::kTooLarge;
  return process.pager->HoldBytes(begin, bytes, block.pins, block.counters);
}

void Introduce(ThreadBlock& block) {
  block.tid = static_cast<int32_t>(AskKernel(SYS_gettid));
  block.counters->tid.store(static_cast<uint32_t>(block.tid));
  AskKernel(SYS_prctl, PR_GET_NAME, block.counters->name);
}

long DoClone(Call& call) {
  const CloneArguments arguments = ArgumentsOf(call);
  const bool shares = (arguments.flags & CLONE_VM) != 0 && arguments.stack != 0;
  const long result = shares ? StartThread(call, arguments) : Fork(call, arguments);
  if (result > 0 && (arguments.flags & CLONE_THREAD) == 0) CountChild(call.process, result);
  return result;
}

long DoExit(Call& call) {
  // What it held or pinned stays until it is gone: the kernel writes to it while it ends it.
  if (!call.block.starting_a_program) call.process.blocks.MarkLeaving(call.block);
  AskKernel(SYS_exit, call.arguments[0]);
  return 0;
}

bool StartOwnThread(Process& process, void (*start)(void*), void* argument) {
  ThreadBlock* const block = process.blocks.TakeUncounted();
  if (block == nullptr) return false;
  constexpr uint64_t kFlags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  return epcrun_clone(kFlags, block->stack_end(), 0, 0, 0, start, argument) > 0;
}

}  // namespace coracle::epc

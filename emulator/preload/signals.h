// Signals, virtual where the library needs them itself.
//
// SIGBUS (a page is away) and SIGSYS (a system call was made) are ours, always handled and never
// blocked in the kernel; whatever the program asks for them is remembered and told back. Handlers
// of the program run on the thread's alternate stack (thread_block.h) whatever it asked, and return
// through our own rt_sigreturn, which is not dispatched. sigaltstack is answered, not done.
#pragma once

#include <csignal>
#include <cstdint>

#include "emulator/pager/futex_lock.h"

namespace coracle::epc {

/// A set of signals as the kernel has it: bit n - 1 for signal n.
using SignalSet = uint64_t;
inline constexpr SignalSet kAllSignals = ~SignalSet{0};
constexpr SignalSet SetOf(int signal) { return SignalSet{1} << (signal - 1); }
inline constexpr SignalSet kOurSignals = SetOf(SIGBUS) | SetOf(SIGSYS);

/// struct sigaction of the kernel.
struct KernelAction {
  uintptr_t handler = 0;
  uint64_t flags = 0;
  uintptr_t restorer = 0;
  SignalSet mask = 0;
};
static_assert(sizeof(KernelAction) == 32);

/// What the program asked for, signal by signal. Threads: any, all signals blocked.
class SignalActions {
 public:
  /// Installs our own handlers and unblocks their signals.
  void TakeOurs();

  /// rt_sigaction(2), with structs that are copies: `action` and `old` may be null.
  long Act(int signal, const KernelAction* action, KernelAction* old);
  /// The same in a process that only shares our memory: its kernel's table is its own, ours is not
  /// changed.
  static long ActApart(int signal, const KernelAction* action, KernelAction* old);

  /// The program's own action for SIGBUS or SIGSYS, after a fault that is not ours or a signal that
  /// somebody sent.
  void DeliverToProgram(int signal, siginfo_t* info, void* context);

  void Lock() { lock_.Acquire(); }
  void Unlock() { lock_.Release(); }

 private:
  FutexLock lock_;
  KernelAction asked_[65];
  bool known_[65] = {};
};

/// Sets the thread's signal mask in the kernel.
void SetMask(SignalSet mask);

/// The mask in `context` (ucontext_t), which comes into force when the handler returns.
SignalSet& MaskIn(void* context);

}  // namespace coracle::epc

#include "emulator/preload/signals.h"

#include <sys/syscall.h>
#include <ucontext.h>

#include <cerrno>

#include "emulator/preload/entry.h"
#include "emulator/preload/process.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kRestorerFlag = 0x04000000;  // SA_RESTORER, which no header of libc defines

bool IsHandler(uintptr_t handler) { return handler > 1; }  // neither SIG_DFL nor SIG_IGN
bool IsOurs(int signal) { return signal == SIGBUS || signal == SIGSYS; }

/// The program's action as the kernel gets it.
KernelAction ForKernel(const KernelAction& asked) {
  KernelAction action = asked;
  if (IsHandler(action.handler)) action.flags |= SA_ONSTACK;
  action.flags |= kRestorerFlag;
  action.restorer = reinterpret_cast<uintptr_t>(&epcrun_restorer);
  action.mask &= ~kOurSignals;
  return action;
}

long KernelAct(int signal, const KernelAction* action, KernelAction* old) {
  return AskKernel(SYS_rt_sigaction, signal, action, old, sizeof(SignalSet));
}

/// The kernel ends the program next, and says nothing of why.
void SayThatABusErrorEndsIt(const siginfo_t& info, void* context) {
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  Line line("epcrun: SIGBUS ends the program: there is no memory at ");
  line.AddHex(reinterpret_cast<uintptr_t>(info.si_addr)).Add(", which the instruction at ");
  line.AddHex(static_cast<uint64_t>(registers[REG_RIP])).Add(" uses (a file that became shorter?)");
  Say(line);
}

void Install(int signal, void (*handler)(int, siginfo_t*, void*)) {
  KernelAction action;
  action.handler = reinterpret_cast<uintptr_t>(handler);
  action.flags = SA_SIGINFO | SA_ONSTACK | kRestorerFlag;
  action.restorer = reinterpret_cast<uintptr_t>(&epcrun_restorer);
  action.mask = kAllSignals;
  KernelAct(signal, &action, nullptr);
}

}  // namespace

void SignalActions::TakeOurs() {
  for (const int signal : {SIGBUS, SIGSYS}) KernelAct(signal, nullptr, &asked_[signal]);
  Install(SIGBUS, &epcrun_on_fault);
  Install(SIGSYS, &epcrun_on_system_call);
  AskKernel(SYS_rt_sigprocmask, SIG_UNBLOCK, &kOurSignals, nullptr, sizeof(SignalSet));
}

long SignalActions::Act(int signal, const KernelAction* action, KernelAction* old) {
  if (signal < 1 || signal > 64) return -EINVAL;
  const LockHeld locked(lock_);
  KernelAction before = asked_[signal];
  if (!IsOurs(signal)) {
    KernelAction in_kernel;
    KernelAction wanted;
    if (action != nullptr) wanted = ForKernel(*action);
    const long result = KernelAct(signal, action != nullptr ? &wanted : nullptr, &in_kernel);
    if (result < 0) return result;
    // SA_RESETHAND: the kernel may have gone back to the default on its own.
    if (!known_[signal] || in_kernel.handler != before.handler) before = in_kernel;
  }
  if (action != nullptr) {
    asked_[signal] = *action;
    known_[signal] = true;
  }
  if (old != nullptr) *old = before;
  return 0;
}

long SignalActions::ActApart(int signal, const KernelAction* action, KernelAction* old) {
  if (signal < 1 || signal > 64) return -EINVAL;
  if (IsOurs(signal)) {
    if (old != nullptr) *old = KernelAction{};
    return 0;
  }
  KernelAction wanted;
  if (action != nullptr) wanted = ForKernel(*action);
  return KernelAct(signal, action != nullptr ? &wanted : nullptr, old);
}

void SignalActions::DeliverToProgram(int signal, siginfo_t* info, void* context) {
  lock_.Acquire();
  const KernelAction asked = asked_[signal];
  lock_.Release();
  const bool sent = info->si_code <= 0;
  if (asked.handler == reinterpret_cast<uintptr_t>(SIG_IGN) && sent) return;
  if (!IsHandler(asked.handler)) {
    // The default: the kernel does it, once the signal comes again.
    if (!sent && signal == SIGBUS) SayThatABusErrorEndsIt(*info, context);
    const KernelAction none;
    KernelAct(signal, &none, nullptr);
    if (sent) AskKernel(SYS_tgkill, AskKernel(SYS_getpid), AskKernel(SYS_gettid), signal);
    return;
  }
  SetMask((MaskIn(context) | asked.mask) & ~kOurSignals);
  reinterpret_cast<void (*)(int, siginfo_t*, void*)>(asked.handler)(signal, info, context);
  SetMask(kAllSignals);
}

void SetMask(SignalSet mask) {
  AskKernel(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

SignalSet& MaskIn(void* context) {
  return *reinterpret_cast<SignalSet*>(&static_cast<ucontext_t*>(context)->uc_sigmask);
}

}  // namespace coracle::epc

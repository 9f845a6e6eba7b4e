#include "emulator/preload/signal_calls.h"

#include <sys/syscall.h>

#include <cerrno>
#include <new>

#include "emulator/preload/entry.h"
#include "emulator/preload/holding.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// Reads a struct that an argument points to.
template <typename T>
long Take(const Call& call, HeldArguments& held, uintptr_t at, T& value) {
  const HoldOutcome outcome = held.Bytes(at, sizeof value);
  if (outcome == HoldOutcome::kTooLarge) return RefusedHold(call, outcome);
  return PeekValue(at, value) ? 0 : -EFAULT;
}

/// Writes one; a null address takes nothing.
template <typename T>
long Put(const Call& call, HeldArguments& held, uintptr_t at, const T& value) {
  if (at == 0) return 0;
  const HoldOutcome outcome = held.Bytes(at, sizeof value);
  if (outcome == HoldOutcome::kTooLarge) return RefusedHold(call, outcome);
  return PokeValue(at, value) ? 0 : -EFAULT;
}

long DoSigaction(Call& call) {
  HeldArguments held(call);
  if (call.arguments[3] != sizeof(SignalSet)) return -EINVAL;
  KernelAction action;
  KernelAction old;
  const bool sets = call.address(1) != 0;
  if (sets) {
    if (const long failed = Take(call, held, call.address(1), action); failed != 0) return failed;
  }
  const int signal = static_cast<int>(call.arguments[0]);
  const KernelAction* wanted = sets ? &action : nullptr;
  const long result = call.block.starting_a_program
                          ? SignalActions::ActApart(signal, wanted, &old)
                          : call.process.actions.Act(signal, wanted, &old);
  return result != 0 ? result : Put(call, held, call.address(2), old);
}

long DoSigprocmask(Call& call) {
  HeldArguments held(call);
  if (call.arguments[3] != sizeof(SignalSet)) return -EINVAL;
  const SignalSet before = call.mask();
  if (call.address(1) != 0) {
    SignalSet set = 0;
    if (const long failed = Take(call, held, call.address(1), set); failed != 0) return failed;
    SignalSet after = before;
    switch (static_cast<int>(call.arguments[0])) {
      case SIG_BLOCK:
        after |= set;
        break;
      case SIG_UNBLOCK:
        after &= ~set;
        break;
      case SIG_SETMASK:
        after = set;
        break;
      default:
        return -EINVAL;
    }
    // Comes into force when this handler returns.
    call.mask() = after & ~kOurSignals;
  }
  return Put(call, held, call.address(2), before);
}

long DoSigpending(Call& call) {
  HeldArguments held(call);
  SignalSet pending = 0;
  const long result = AskKernel(SYS_rt_sigpending, &pending, sizeof pending);
  if (result != 0) return result;
  // While this handler runs, all that arrives is pending.
  return Put(call, held, call.address(0), pending & call.mask());
}

long DoSigsuspend(Call& call) {
  HeldArguments held(call);
  SignalSet mask = 0;
  if (const long failed = Take(call, held, call.address(0), mask); failed != 0) return failed;
  mask &= ~kOurSignals;
  held.arguments()[0] = reinterpret_cast<long>(&mask);
  return Perform(call, held.arguments(), During::kBlocked);
}

long DoSigaltstack(Call& call) {
  constexpr uint64_t kLeastBytes = 2048;  // MINSIGSTKSZ
  constexpr uint32_t kDisarm = 1U << 31;  // SS_AUTODISARM
  HeldArguments held(call);
  const AlternateStack before = call.block.alternate_stack;
  AlternateStack wanted = before;
  if (call.address(0) != 0) {
    if (const long failed = Take(call, held, call.address(0), wanted); failed != 0) return failed;

    const int mode = wanted.flags & static_cast<int>(~kDisarm);
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) return -EINVAL;
    if (mode == SS_DISABLE) wanted = AlternateStack{};
    if (mode != SS_DISABLE && wanted.bytes < kLeastBytes) return -ENOMEM;
  }
  if (const long failed = Put(call, held, call.address(1), before); failed != 0) return failed;
  call.block.alternate_stack = wanted;
  return 0;
}

/// The program returns from a handler by itself, with a frame where its stack pointer is. Does not
/// come back; what it holds is released at the thread's next call.
long DoSigreturn(Call& call) {
  const auto at = static_cast<uintptr_t>(call.context.uc_mcontext.gregs[REG_RSP]);
  constexpr uint64_t kFrameBytesMax = 16 << 10;  // with the largest extended state
  alignas(CallHolds) std::byte room[sizeof(CallHolds)];
  auto* holds = new (room) CallHolds(call.block, *call.process.pager, call.frame());
  holds->Bytes(at, kFrameBytesMax);
  MaskIn(reinterpret_cast<void*>(at)) &= ~kOurSignals;
  epcrun_resume(reinterpret_cast<void*>(at));
}

}  // namespace

long DoSignalCall(Call& call) {
  switch (call.number) {
    case SYS_rt_sigaction:
      return DoSigaction(call);
    case SYS_rt_sigprocmask:
      return DoSigprocmask(call);
    case SYS_rt_sigpending:
      return DoSigpending(call);
    case SYS_rt_sigsuspend:
      return DoSigsuspend(call);
    case SYS_sigaltstack:
      return DoSigaltstack(call);
    default:
      return DoSigreturn(call);
  }
}

}  // namespace coracle::epc

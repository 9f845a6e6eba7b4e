// The two signals that this library lives by.

#include <cerrno>

#include "emulator/preload/call.h"
#include "emulator/preload/entry.h"
#include "emulator/preload/holding.h"
#include "emulator/preload/raw_call.h"
#include "emulator/preload/transfer.h"

namespace coracle::epc {
namespace {

constexpr int kUserDispatch = 2;  // SYS_USER_DISPATCH

long Answer(Call& call) {
  const SystemCall* const entry = FindSystemCall(call.number);
  if (entry == nullptr) return DoUnlisted(call);
  return entry->treatment == Treatment::kSpecial ? DoSpecial(call, *entry) : DoListed(call, *entry);
}

}  // namespace

long Perform(const Call& call, const long (&arguments)[6], During during) {
  if (during == During::kBlocked)
    return AskKernel(call.number, arguments[0], arguments[1], arguments[2], arguments[3],
                     arguments[4], arguments[5]);
  SetMask(call.mask() & ~kOurSignals);
  const long result = AskKernel(call.number, arguments[0], arguments[1], arguments[2], arguments[3],
                                arguments[4], arguments[5]);
  SetMask(kAllSignals);
  return result;
}

long DoListed(Call& call, const SystemCall& entry) {
  switch (entry.treatment) {
    case Treatment::kNothing:
      return 0;
    case Treatment::kRefuse:
      return -ENOSYS;
    case Treatment::kIn:
    case Treatment::kOut:
      return TransferBuffer(call, entry);
    case Treatment::kShorten:
      return TransferShortened(call, entry);
    case Treatment::kVectorsIn:
    case Treatment::kVectorsOut:
      return TransferVectors(call, entry);
    case Treatment::kPerform:
    case Treatment::kQuick:
    case Treatment::kSpecial:
      break;
  }
  HeldArguments held(call);
  return HoldAndPerform(call, held, entry);
}

long DoUnlisted(Call& call) {
  SystemCall entry;
  for (Argument& argument : entry.arguments) argument.reach = Reach::kUnknown;
  HeldArguments held(call);
  const HoldOutcome outcome = held.HoldAll(entry);
  if (outcome != HoldOutcome::kHeld) return RefusedHold(call, outcome);
  return PerformUncertain(call, held);
}

}  // namespace coracle::epc

using namespace coracle::epc;  // NOLINT: the functions below are the library's entry, in C

void epcrun_on_fault(int signal, siginfo_t* info, void* context) {
  Process& process = *the_process;
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool is_fault = info->si_code > 0;
  if (is_fault &&
      process.pager->Fault(address, BlockAround(context).counters) == FaultOutcome::kServed) {
    return;
  }
  process.actions.DeliverToProgram(signal, info, context);
}

void epcrun_on_system_call(int signal, siginfo_t* info, void* context) {
  Process& process = *the_process;
  if (info->si_code != kUserDispatch) {
    return process.actions.DeliverToProgram(signal, info, context);
  }
  auto& frame = *static_cast<ucontext_t*>(context);
  auto& registers = frame.uc_mcontext.gregs;
  ThreadBlock& block = BlockAround(context);
  ReleaseLeftBehind(block, *process.pager, reinterpret_cast<uintptr_t>(context));
  block.counters->system_calls.fetch_add(1, std::memory_order_relaxed);
  process.record->system_calls.fetch_add(1, std::memory_order_relaxed);
  Call call = {process,
               block,
               frame,
               static_cast<long>(registers[REG_RAX]),
               {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10],
                registers[REG_R8], registers[REG_R9]}};
  registers[REG_RAX] = Answer(call);
}

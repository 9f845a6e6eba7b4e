// Call: one system call of the program on its way through this library.
#pragma once

#include <ucontext.h>

#include <cstdint>

#include "emulator/preload/process.h"
#include "emulator/preload/system_call_table.h"
#include "emulator/preload/thread_block.h"

namespace coracle::epc {

struct Call {
  Process& process;
  ThreadBlock& block;
  ucontext_t& context;  ///< the program's registers and signal mask; restored after the call
  long number;
  long arguments[6];

  uintptr_t frame() const { return reinterpret_cast<uintptr_t>(&context); }
  uintptr_t address(int i) const { return static_cast<uintptr_t>(arguments[i]); }
  SignalSet& mask() const { return MaskIn(&context); }
};

/// Which signals get through while a call runs.
enum class During : uint8_t {
  kProgramMask,  ///< the program's mask: the call may wait, and be interrupted
  kBlocked       ///< none, or those that the call itself lets through
};

/// The instruction itself, with whatever arguments.
long Perform(const Call& call, const long (&arguments)[6], During during);

/// The call as its line in the table says.
long DoListed(Call& call, const SystemCall& entry);
/// The calls that the table marks kSpecial.
long DoSpecial(Call& call, const SystemCall& entry);
/// A call that is not in the table: every argument may be an address.
long DoUnlisted(Call& call);

}  // namespace coracle::epc

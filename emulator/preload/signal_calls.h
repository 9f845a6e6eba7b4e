// The system calls about signals, answered from what signals.h keeps.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

/// rt_sigaction, rt_sigprocmask, rt_sigreturn, rt_sigsuspend, rt_sigpending, sigaltstack.
long DoSignalCall(Call& call);

}  // namespace coracle::epc

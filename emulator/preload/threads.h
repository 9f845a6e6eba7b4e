// Threads and processes that the program makes.
//
// A new thread needs an alternate stack and its own order to dispatch before it may touch memory or
// make a call: both are cleared in it. So it starts on its own block's stack, in our text, with a
// copy of its maker's signal frame, from which rt_sigreturn gives it the registers that clone(2)
// promises: its maker's, with the new stack and result 0.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

/// clone, fork, vfork. A process that shares memory but has no stack of its own (vfork) becomes a
/// process that shares nothing.
long DoClone(Call& call);
/// exit(2): this thread ends. Does not return.
long DoExit(Call& call);

/// Keeps the words present that the kernel writes on its own while `block`'s thread lives.
HoldOutcome Pin(Process& process, ThreadBlock& block, uintptr_t begin, uint64_t bytes);

/// The main thread's block: its id, name and counters.
void Introduce(ThreadBlock& block);

/// Starts a thread of the library's own, which the program does not know of: no dispatch, all
/// signals blocked. False: refused.
bool StartOwnThread(Process& process, void (*start)(void*), void* argument);

}  // namespace coracle::epc

// The few functions that must be written in assembly, and the two that the kernel calls.
#pragma once

#include <csignal>
#include <cstdint>

extern "C" {

/// Where handlers return to: the kernel's rt_sigreturn, in this library's text. The very bytes that
/// unwinders look for.
[[gnu::visibility("hidden")]] void epcrun_restorer();

/// SIGBUS and SIGSYS; on the alternate stack, all signals blocked.
[[gnu::visibility("hidden")]] void epcrun_on_fault(int signal, siginfo_t* info, void* context);
[[gnu::visibility("hidden")]] void epcrun_on_system_call(int signal, siginfo_t* info,
                                                         void* context);

/// clone(2) whose child runs `start(argument)` on the stack below `stack_end` (16-byte aligned) and
/// never returns from it. The parent's result.
[[gnu::visibility("hidden")]] long epcrun_clone(uint64_t flags, uintptr_t stack_end,
                                                uintptr_t parent_tid, uintptr_t child_tid,
                                                uintptr_t thread_pointer, void (*start)(void*),
                                                void* argument);

/// rt_sigreturn with `context`, a ucontext_t: sets all registers and the signal mask from it.
[[noreturn, gnu::visibility("hidden")]] void epcrun_resume(void* context);

/// Calls `function(argument)` on the stack below `stack_end` (16-byte aligned).
[[gnu::visibility("hidden")]] void epcrun_call_on(uintptr_t stack_end, void (*function)(void*),
                                                  void* argument);
}
